"""Gymnasium's cart and pole as the rooms of reinforcement learning act in it, and what a policy earns there.

Not for learning: each room's implementations do that, and not for drawing: where episodes start is read from files.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import gymnasium
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Policy = Callable[[NDArray[np.float32], np.random.Generator], int]

EPISODES = 20
"""How many episodes a policy is judged by; the seeds of the world are 0, 1, ..."""


class World:
    """``CartPole-v1`` whose episodes start where a file says, so that every member meets the same ones."""

    def __init__(self, starts: NDArray[np.float32]) -> None:
        """Make the environment as users do; `starts` are states, episodes × 4."""
        self._env = gymnasium.make("CartPole-v1")
        self._starts = starts.astype(float)
        self._episode = 0

    def reset(self) -> NDArray[np.float32]:
        """Start the next episode and return its first observation."""
        self._env.reset(seed=0 if self._episode == 0 else None)
        start = self._starts[self._episode]
        self._episode += 1
        self._env.unwrapped.state = start.copy()  # type: ignore[attr-defined]  # CartPole has one
        return start.astype(np.float32)

    def step(self, action: int) -> tuple[NDArray[np.float32], bool, bool]:
        """Return the observation, whether the pole fell, and whether time is up; each step earns 1."""
        observation, _, terminated, truncated, _ = self._env.step(action)
        return observation, terminated, truncated

    @property
    def state(self) -> NDArray[np.float64]:
        """The state in full precision."""
        state: NDArray[np.float64] = self._env.unwrapped.state  # type: ignore[attr-defined]  # CartPole has one
        return state


class Laps:
    """Adds up how long the parts of a call take, in ns: each lap goes to the part that is named at its end."""

    def __init__(self) -> None:
        """Start the first lap."""
        self.spans: dict[str, int] = {}
        self._since = time.perf_counter_ns()

    def lap(self, part: str) -> None:
        """End a lap: the time since the last one belongs to `part`."""
        now = time.perf_counter_ns()
        self.spans[part] = self.spans.get(part, 0) + now - self._since
        self._since = now


def perceptron(weights: Mapping[str, NDArray[np.generic]], observation: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what layers ``0``, ``2``, ... with ReLU between them make of one observation, in numpy and f64."""
    layers = sorted({int(name.partition(".")[0]) for name in weights})
    x = observation.astype(float)
    for layer in layers:
        x = np.asarray(weights[f"{layer}.weight"], float) @ x + np.asarray(weights[f"{layer}.bias"], float)
        x = x if layer == layers[-1] else np.maximum(x, 0)
    return x


def mean_return(policy: Policy) -> float:
    """Return what `policy` earns in an episode, on average over `EPISODES` with fixed seeds."""
    env = gymnasium.make("CartPole-v1")
    total = 0.0
    for seed in range(EPISODES):
        rng = np.random.default_rng(seed)
        observation, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(policy(observation, rng))
            total += float(reward)
            ended = terminated or truncated
    return total / EPISODES
