"""The quality of a network on digits that it has not seen; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..scores import classifier

if TYPE_CHECKING:
    from collections.abc import Mapping

    Arrays = Mapping[str, np.ndarray]


def quality(algorithm: str, phase: str, outputs: Arrays, data: Mapping[str, np.ndarray | Arrays]) -> dict[str, float]:
    """Return the scores of a classifier, for trained weights by a forward pass computed here."""
    return classifier(phase, outputs, data, partial(_logits, algorithm))


def _logits(algorithm: str, trained: Arrays, sequences: np.ndarray) -> np.ndarray:
    """Return the logits from weights alone, computed step by step in numpy, independently of all members."""
    weights = {name: each.astype(float) for name, each in trained.items()}
    state = np.zeros((len(sequences), weights["fc.weight"].shape[1]))
    cell = np.zeros_like(state)
    for x in sequences.swapaxes(0, 1).astype(float):
        given = x @ weights["rnn.weight_ih_l0"].T + weights["rnn.bias_ih_l0"]
        carried = state @ weights["rnn.weight_hh_l0"].T + weights["rnn.bias_hh_l0"]
        state, cell = STEP[algorithm](given, carried, state, cell)
    return state @ weights["fc.weight"].T + weights["fc.bias"]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _lstm(given: np.ndarray, carried: np.ndarray, state: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001 - the signature of all three
    entry, forget, candidate, exit_ = np.split(given + carried, 4, axis=1)
    cell = _sigmoid(forget) * cell + _sigmoid(entry) * np.tanh(candidate)
    return _sigmoid(exit_) * np.tanh(cell), cell


def _gru(given: np.ndarray, carried: np.ndarray, state: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    (reset, update, new), (reset_h, update_h, new_h) = np.split(given, 3, axis=1), np.split(carried, 3, axis=1)
    kept = _sigmoid(update + update_h)
    candidate = np.tanh(new + _sigmoid(reset + reset_h) * new_h)
    return (1 - kept) * candidate + kept * state, cell


def _rnn(given: np.ndarray, carried: np.ndarray, state: np.ndarray, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG001 - as above
    return np.tanh(given + carried), cell


STEP = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
