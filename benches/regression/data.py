"""The tables for the linear models, split and standardised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import integer, number, split, standardise

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    Data = dict[str, np.ndarray | dict[str, np.ndarray]]


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> Data:
    """Return a table (f64, rows × columns) split 80/20, its columns standardised on the training part.

    `X_train` is in Fortran order, which column-wise solvers prefer, and `X_test` in C order, the usual order of new rows.
    `y_train_centred` is for the models without an intercept.
    """
    x, y = _synthetic(params, rng) if params["source"] == "synthetic" else _diabetes()
    train, test = split(len(y), rng)
    x_train, y_train = np.asfortranarray(x[train]), y[train]
    x_test = standardise(x_train, x[test])
    return {
        "X_train": x_train,
        "y_train": y_train,
        "y_train_centred": y_train - y_train.mean(),
        "X_test": x_test,
        "y_test": y[test],
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return rows × columns of the whole table before the split."""
    return f"{params['n']}×{params['p']}" if params["source"] == "synthetic" else "442×10"


def _diabetes() -> tuple[Floats, Floats]:
    """Return scikit-learn's table in its original units."""
    from sklearn.datasets import load_diabetes

    x, y = load_diabetes(return_X_y=True, scaled=False)
    return x, y


def _synthetic(params: Mapping[str, Scalar], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return Gaussian columns that share one factor, and a noisy weighted sum of a few of them.

    `correlation` is that of any two columns; without it coordinate descent would converge after a few sweeps. `noise_share` is the
    fraction of the target's variance that no model can explain.
    """
    rows, columns = integer(params, "n"), integer(params, "p")
    correlation, noise_share = number(params, "correlation"), number(params, "noise_share")
    x = rng.standard_normal((rows, columns))
    x *= np.sqrt(1 - correlation)
    x += np.sqrt(correlation) * rng.standard_normal((rows, 1))
    chosen = rng.permutation(columns)[: max(1, round(number(params, "informative") * columns))]
    weights = np.zeros(columns)
    # Far above the penalty, so that no correct solver drops them, and of both signs, so that the factor cancels.
    weights[chosen] = rng.uniform(1.0, 4.0, len(chosen)) * np.where(np.arange(len(chosen)) % 2, -1.0, 1.0)
    signal = x @ weights
    noise = signal.std() * np.sqrt(noise_share / (1 - noise_share))
    # With an offset, so that parity detects an implementation without an intercept.
    return x, 10.0 + signal + noise * rng.standard_normal(rows)
