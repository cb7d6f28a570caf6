"""The sequences, the batches and the initial weights of every network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import batches, digits, integer, split_classes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Weights = dict[str, np.ndarray]

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
CLASSES = 10


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, np.ndarray | Weights]:
    """Return sequences (count × side × side, f32), labels (i64), batches (steps × batch, i64 rows) and weights.

    A digit is read as a sequence: each row of its pixels is a step. ``initial_lstm`` and so on are the weights.
    """
    side, hidden, batch, epochs = (integer(params, name) for name in ("side", "hidden", "batch", "epochs"))
    images, labels = digits(side)
    train, test = split_classes(labels, rng)
    return {
        "x_train": images[train],
        "labels_train": labels[train],
        "x_test": images[test],
        "labels_test": labels[test],
        "batches": batches(len(train), batch, epochs, rng),
    } | {f"initial_{name}": _initial(gates, side, hidden, rng) for name, gates in GATES.items()}


def size(params: Mapping[str, Scalar]) -> str:
    """Return sequences × steps × features before the split, and the size of the state."""
    return f"1797×{params['side']}×{params['side']}, state {params['hidden']}"


def _initial(gates: int, features: int, hidden: int, rng: np.random.Generator) -> Weights:
    """Return weights drawn as in PyTorch: all uniform within ±1/√(size of the state)."""
    rows = gates * hidden
    shapes = {
        "rnn.weight_ih_l0": (rows, features),
        "rnn.weight_hh_l0": (rows, hidden),
        "rnn.bias_ih_l0": (rows,),
        "rnn.bias_hh_l0": (rows,),
        "fc.weight": (CLASSES, hidden),
        "fc.bias": (CLASSES,),
    }
    bound = 1 / np.sqrt(hidden)
    return {name: rng.uniform(-bound, bound, shape).astype(np.float32) for name, shape in shapes.items()}
