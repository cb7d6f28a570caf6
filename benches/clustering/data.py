"""The points to cluster, their true groups, and the initial centres of k-means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import integer, number, split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Data = dict[str, np.ndarray | dict[str, np.ndarray]]

BRIGHTEST = 16.0
"""The largest value of a pixel in scikit-learn's digits."""


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> Data:
    """Return points (f64, rows × columns, C order) and their true groups (i64), split 80/20.

    `start` has one row of `X` per group, chosen once by k-means++ so that every member has the same initial centres. The first rows
    would be an obvious choice too, but lead k-means to poor optima.
    """
    from sklearn.cluster import kmeans_plusplus

    x, y = _digits() if params["source"] == "digits" else _blobs(params, rng)
    train, test = split(len(y), rng)
    points = np.ascontiguousarray(x[train])
    start, _ = kmeans_plusplus(points, len(np.unique(y)), random_state=int(rng.integers(2**31)))
    return {
        "X": points,
        "y": y[train],
        "X_test": np.ascontiguousarray(x[test]),
        "y_test": y[test],
        "start": np.ascontiguousarray(start),
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return rows × columns of all points, before they are split."""
    return "1797×64" if params["source"] == "digits" else f"{params['n']}×{params['p']}"


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits as points, with pixels between 0 and 1."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return x / BRIGHTEST, y.astype(np.int64)


def _blobs(params: Mapping[str, Scalar], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return spherical clusters of points around centres within ±10."""
    rows, columns, groups = (integer(params, name) for name in ("n", "p", "groups"))
    centres = rng.uniform(-10.0, 10.0, (groups, columns))
    y = rng.permutation(np.arange(rows) % groups)
    return centres[y] + number(params, "spread") * rng.standard_normal((rows, columns)), y.astype(np.int64)
