"""What the recipes of several rooms need: parameters of the right type, the split, the standard scale.

Not for any one data set: each room's ``data.py`` makes its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.protocol import Scalar

TEST_SHARE = 0.2


def whole(params: Mapping[str, Scalar], name: str) -> int:
    """Return the integer that the recipe is told as `name`."""
    value = params[name]
    if not isinstance(value, int):
        msg = f"recipe parameter {name!r} is {value!r}; it must be an integer"
        raise TypeError(msg)
    return value


def real(params: Mapping[str, Scalar], name: str) -> float:
    """Return the number that the recipe is told as `name`."""
    value = params[name]
    if not isinstance(value, int | float):
        msg = f"recipe parameter {name!r} is {value!r}; it must be a number"
        raise TypeError(msg)
    return float(value)


def split(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the training and of the test part, 80/20."""
    order = rng.permutation(count)
    held_out = round(TEST_SHARE * count)
    return order[held_out:], order[:held_out]


def split_classes(labels: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the training and of the test part, 80/20, each class as frequent in both."""
    from sklearn.model_selection import train_test_split

    seed = int(rng.integers(2**31))
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=seed)
    return train, test


def standardise(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Give the columns of `train`, in place, mean 0 and deviation 1, and return `test` on the same scale, in C order.

    A column that does not vary stays 0.
    """
    # In place: a second copy of the largest table would not fit where the first just does.
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1.0
    train -= mean
    train /= deviation
    return np.ascontiguousarray((test - mean) / deviation)
