"""The images, the order they are shown in and the weights every network starts from.

Not for reading them back: each implementation reads the files that were made from these arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import split_classes, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.protocol import Scalar

    Data = dict[str, np.ndarray | dict[str, np.ndarray]]

BRIGHTEST = 16.0
"""The largest value of a pixel in scikit-learn's digits."""

LENET = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}
"""The shape of each layer's weight: what comes out, what goes in, and the kernel."""


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> Data:
    """Return images (count × 1 × side × side, f32), labels (i64), batches (steps × batch, i64 rows) and weights.

    The batches go through the training part in a new order each epoch and leave out what does not fill a batch.
    """
    side, batch, epochs = (whole(params, name) for name in ("side", "batch", "epochs"))
    images, labels = _digits(side)
    train, test = split_classes(labels, rng)
    full = len(train) // batch * batch
    rows = np.concatenate([rng.permutation(len(train))[:full] for _ in range(epochs)])
    return {
        "images_train": images[train],
        "labels_train": labels[train],
        "images_test": images[test],
        "labels_test": labels[test],
        "batches": rows.reshape(-1, batch).astype(np.int64),
        "initial": _initial(rng),
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return images × side × side, before they are split."""
    return f"1797×{params['side']}×{params['side']}"


def _digits(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bundled digits, enlarged linearly to `side` pixels and scaled to mean 0, deviation 1."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    small, labels = load_digits().images / BRIGHTEST, load_digits().target
    large = zoom(small, (1, side / small.shape[1], side / small.shape[2]), order=1)
    scaled = (large - large.mean()) / large.std()
    return scaled[:, np.newaxis].astype(np.float32), labels.astype(np.int64)


def _initial(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the weights and biases of LeNet, drawn as PyTorch draws them: uniform within ±1/√(inputs of a neuron)."""
    weights: dict[str, np.ndarray] = {}
    for layer, shape in LENET.items():
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        weights[f"{layer}.weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        weights[f"{layer}.bias"] = rng.uniform(-bound, bound, shape[0]).astype(np.float32)
    return weights
