"""Helpers for data recipes: typed parameters, train-test splits, standardisation, reading a user's own model.

Each task's ``data.py`` makes its own data.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_duet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_duet.values import Scalar

TEST_SHARE = 0.2
BRIGHTEST = 16.0
"""The largest value of a pixel in scikit-learn's digits."""


def integer(params: Mapping[str, Scalar], name: str) -> int:
    """Return recipe parameter `name`, an integer."""
    value = params[name]
    if not isinstance(value, int):
        msg = f"recipe parameter {name!r} is {value!r}; it must be an integer"
        raise TypeError(msg)
    return value


def number(params: Mapping[str, Scalar], name: str) -> float:
    """Return recipe parameter `name`, a number."""
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
    """Return the rows of the training and of the test part, 80/20, with the same class frequencies in both."""
    from sklearn.model_selection import train_test_split

    seed = int(rng.integers(2**31))
    train, test = train_test_split(np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=seed)
    return train, test


def standardise(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Standardise the columns of `train` in place, and return `test` on the same scale, in C order.

    The columns of `train` then have mean 0 and standard deviation 1; a constant column becomes 0.
    """
    # In place, because a second copy of the largest table might not fit in memory.
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1.0
    train -= mean
    train /= deviation
    return np.ascontiguousarray((test - mean) / deviation)


def digits(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits (1797 × side × side, f32, mean 0, standard deviation 1), enlarged linearly, and labels (i64)."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    small, labels = load_digits().images / BRIGHTEST, load_digits().target
    large = zoom(small, (1, side / small.shape[1], side / small.shape[2]), order=1)
    scaled = (large - large.mean()) / large.std()
    return scaled.astype(np.float32), labels.astype(np.int64)


LARGEST_START = 0.05
"""The largest initial value of each state variable in Gymnasium's CartPole."""
SHORTEST_EPISODE = 8
"""No episode that starts like this is shorter, whatever the actions, so this determines the number of initial states."""


def cartpole_starts(steps: int, rng: np.random.Generator) -> np.ndarray:
    """Return enough initial states (episodes × 4, f32) for `steps` steps."""
    return rng.uniform(-LARGEST_START, LARGEST_START, (steps // SHORTEST_EPISODE + 1, 4)).astype(np.float32)


def batches(count: int, size: int, epochs: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of each step (steps × size, i64): a new order in each epoch, without rows that do not fill a batch."""
    full = count // size * size
    rows = np.concatenate([rng.permutation(count)[:full] for _ in range(epochs)])
    return rows.reshape(-1, size).astype(np.int64)


def dense(name: str, shape: tuple[int, ...], rng: np.random.Generator, *, bias: bool = True) -> dict[str, np.ndarray]:
    """Return the weight and bias (f32) of a linear layer or convolution, drawn as in PyTorch.

    They are uniform within ±1/√(inputs of a neuron). `shape` is outputs, inputs, and the kernel.
    """
    bound = 1 / np.sqrt(np.prod(shape[1:]))
    weights = {f"{name}.weight": rng.uniform(-bound, bound, shape).astype(np.float32)}
    return weights | ({f"{name}.bias": rng.uniform(-bound, bound, shape[0]).astype(np.float32)} if bias else {})


# --- a model that transformers wrote ------------------------------------------------------------------------------------


def read_config(path: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the configuration in `path`, which must have the keys `names`."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for name in names:
            found[name]
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{path}: is no configuration of a model ({error!r}); write it with save_pretrained()"
        ) from error
    return found


def read_weights(path: Path, prefix: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Return every weight in `path` by its name without `prefix`; those of `shapes` must exist and are converted to f32."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = {name.removeprefix(prefix): each for name, each in load_file(path).items()}
    except (SafetensorError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); save the model in float32 as safetensors") from error
    for name, shape in shapes.items():
        seen = found[name].shape if name in found else "nothing"
        if seen != shape:
            raise DataError(f"{path}: weight {name!r} is {seen}, config.json says {shape}; save both of one model")
    return found | {name: found[name].astype(np.float32) for name in shapes}
