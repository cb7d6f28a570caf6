"""All random numbers of a policy gradient run, drawn once: initial states, numbers to draw actions with, weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import cartpole_starts, dense, integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

OBSERVED, ACTIONS = 4, 2


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
    """Return the random numbers of `steps` steps.

    ``starts`` (episodes × 4, f32) are the initial states. A step takes action 1 if its number in ``draws`` (steps, f32 in [0, 1)) is
    below that action's probability. ``actions`` (steps, i64) are for runs with given actions. ``initial`` are the weights.
    Implementations widen the floats.
    """
    steps, hidden = integer(params, "steps"), integer(params, "hidden")
    return {
        "starts": cartpole_starts(steps, rng),
        "draws": rng.random(steps, np.float32),
        "actions": rng.integers(ACTIONS, size=steps),
        "initial": dense("0", (hidden, OBSERVED), rng) | dense("2", (ACTIONS, hidden), rng),
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return the network."""
    return f"4-{params['hidden']}-2"
