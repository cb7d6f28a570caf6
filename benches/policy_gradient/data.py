"""All that is random in learning a policy, drawn once: starts, what actions are drawn by, weights.

Not for reading them back: each implementation reads the files that were made from these arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import cartpole_starts, dense, integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.protocol import Scalar

OBSERVED, ACTIONS = 4, 2


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
    """Return what `steps` steps need.

    Whatever reads floats widens them: ``starts`` (episodes × 4, f32); ``draws`` (steps, f32 in [0, 1)), below the probability of action 1 takes it;
    ``actions`` (steps, i64) for runs whose actions are given; ``initial`` the weights.
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
