"""All random numbers of deep Q-learning, drawn once: initial states, exploration, replayed rows, weights, a fixed replay buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import cartpole_starts, dense, integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

OBSERVED, ACTIONS = 4, 2


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, np.ndarray | dict[str, np.ndarray]]:
    """Return the random numbers of `steps` steps and as many updates.

    ``starts`` (episodes × 4, f32) are the initial states. If ``explore`` (steps, f32 in [0, 1)) is below epsilon, the step takes the
    action in ``actions`` (steps, i64). ``replay`` (steps × batch, f32 in [0, 1)) gives the position of each row in the filled part of
    the buffer. ``initial`` are the weights. ``replay_*`` are transitions of a policy that takes ``actions``. Implementations widen
    the floats.
    """
    steps, batch, hidden = (integer(params, name) for name in ("steps", "batch", "hidden"))
    starts = cartpole_starts(steps, rng)
    actions = rng.integers(ACTIONS, size=steps)
    drawn = {
        "starts": starts,
        "actions": actions,
        "explore": rng.random(steps, np.float32),
        "replay": rng.random((steps, batch), np.float32),
        "initial": dense("0", (hidden, OBSERVED), rng)
        | dense("2", (hidden, hidden), rng)
        | dense("4", (ACTIONS, hidden), rng),
    }
    return drawn | _transitions(starts, actions[: integer(params, "frozen")])


def size(params: Mapping[str, Scalar]) -> str:
    """Return the network and the batch."""
    return f"4-{params['hidden']}-{params['hidden']}-2, batch {params['batch']}"


def _transitions(starts: np.ndarray, actions: np.ndarray) -> dict[str, np.ndarray]:
    """Return the transitions of `actions`: observations before and after (f32), and whether the pole fell (f32)."""
    # Import it here, because a program that only reads the data needs no environment.
    from ..control import World

    world = World(starts)
    before, after, fell = [], [], []
    observation = world.reset()
    for action in actions:
        following, terminated, truncated = world.step(int(action))
        before.append(observation)
        after.append(following)
        fell.append(terminated)
        observation = world.reset() if terminated or truncated else following
    return {
        "replay_before": np.array(before, np.float32),
        "replay_after": np.array(after, np.float32),
        "replay_fell": np.array(fell, np.float32),
    }
