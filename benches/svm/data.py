"""The tables for the support vector machines, split and standardised, with the width of their kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import integer, split_classes, standardise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Data = dict[str, np.ndarray | dict[str, np.ndarray]]


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> Data:
    """Return rows (f64, C order) and their classes (i64, from 0), split 80/20, columns standardised on the training part.

    `gamma` (1,) is the parameter of exp(−gamma·distance²): one over the product of the number of columns and the variance of all
    values, scikit-learn's ``scale``. It is computed once, so that it is the same for all members to the last digit.
    """
    x, y = _SOURCES[str(params["source"])](params, rng)
    train, test = split_classes(y, rng)
    x_train = np.ascontiguousarray(x[train])
    x_test = standardise(x_train, x[test])
    return {
        "X_train": x_train,
        "y_train": y[train],
        "X_test": x_test,
        "y_test": y[test],
        "gamma": np.array([1.0 / (x_train.shape[1] * x_train.var())]),
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return rows × columns of the whole table before the split."""
    known = {"breast_cancer": "569×30", "digits": "1797×64", "ten_digits": "1797×64"}
    return known.get(str(params["source"])) or f"{params['n']}×{params['p']}"


def _breast_cancer(params: Mapping[str, Scalar], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001 - the signature of all sources
    from sklearn.datasets import load_breast_cancer

    x, y = load_breast_cancer(return_X_y=True)
    return x, y.astype(np.int64)


def _ten_digits(params: Mapping[str, Scalar], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001 - the signature of all sources
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x, y.astype(np.int64)


def _digits(params: Mapping[str, Scalar], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits and whether each is odd."""
    x, y = _ten_digits(params, rng)
    return x, y % 2


def _synthetic(params: Mapping[str, Scalar], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return two classes of two clusters each, with half of the columns informative."""
    from sklearn.datasets import make_classification

    rows, columns = integer(params, "n"), integer(params, "p")
    x, y = make_classification(
        rows,
        columns,
        n_informative=columns // 2,
        n_redundant=columns // 10,
        flip_y=0.01,
        class_sep=1.6,
        random_state=int(rng.integers(2**31)),
    )
    return x, y.astype(np.int64)


_SOURCES = {"breast_cancer": _breast_cancer, "digits": _digits, "ten_digits": _ten_digits, "synthetic": _synthetic}
