"""Gymnasium's CartPole for the tasks of reinforcement learning: the environment, acting in it, and the return of a policy.

Each task's implementations learn for themselves. Initial states are read from files.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import gymnasium
import numpy as np

from pytest_duet.implementation import Implementation, Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from pytest_duet.implementation import JobReader

    Policy = Callable[[NDArray[np.float32], np.random.Generator], int]

EPISODES = 20
"""Number of episodes in the quality of a policy; the environment's seeds are 0, 1, ..."""


class World:
    """``CartPole-v1`` with given initial states, so that every member has the same episodes."""

    def __init__(self, starts: NDArray[np.float32]) -> None:
        """Make the environment as users do; `starts` are the initial states, episodes × 4."""
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
        """Return the observation, whether the pole fell, and whether the episode reached its time limit; each step earns 1."""
        observation, _, terminated, truncated, _ = self._env.step(action)
        return observation, terminated, truncated

    @property
    def state(self) -> NDArray[np.float64]:
        """The state in full precision."""
        state: NDArray[np.float64] = self._env.unwrapped.state  # type: ignore[attr-defined]  # CartPole has one
        return state


class Laps:
    """A stopwatch that adds up the nanoseconds of each part of a call."""

    def __init__(self) -> None:
        """Start the first lap."""
        self.spans: dict[str, int] = {}
        self._since = time.perf_counter_ns()

    def lap(self, part: str) -> None:
        """End a lap and add its time to `part`."""
        now = time.perf_counter_ns()
        self.spans[part] = self.spans.get(part, 0) + now - self._since
        self._since = now


def ended(*, fell: bool, late: bool) -> int:
    """Return the code of a step's end: 0 if the episode goes on, 1 if the pole fell, 2 at the time limit."""
    return 1 if fell else 2 if late else 0


@dataclass
class Acted:
    """The observations and actions of one call, and how each step `ended`."""

    laps: Laps = field(default_factory=Laps)
    observations: list[NDArray[np.float32]] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)


class Acting(Implementation[None, Acted]):
    """A trained network acts for some steps without learning: the cost of inference at every step."""

    def __init__(self, job: JobReader) -> None:
        """Read the initial states and the number of steps."""
        self._starts, self._steps = job.array("starts"), job.integer("steps")

    @abstractmethod
    def choose(self, step: int, observation: NDArray[np.float32]) -> int:
        """Return the action of one step."""

    @abstractmethod
    def output(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the network's output for one observation: a number for each action."""

    def run(self, given: None) -> Acted:  # noqa: ARG002 - there is no input
        """Return what happened; making the environment is part of the call."""
        acted = Acted()
        world = World(self._starts)
        observation = world.reset()
        acted.laps.lap("environment")
        for step in range(self._steps):
            action = self.choose(step, observation)
            acted.laps.lap("inference")
            following, fell, late = world.step(action)
            acted.observations.append(observation)
            acted.actions.append(action)
            acted.ends.append(ended(fell=fell, late=late))
            observation = world.reset() if fell or late else following
            acted.laps.lap("environment")
        return acted

    def outputs(self, result: Acted) -> Outputs:
        """Return actions and ends, and the network's output at each step, computed again outside the timed region."""
        answers = np.array([self.output(each) for each in result.observations], np.float32)
        return Outputs(
            {"answers": answers, "actions": np.array(result.actions, np.int64), "ends": np.array(result.ends, np.int64)}
        )

    def spans(self, result: Acted) -> dict[str, int]:
        """Return the time of inference and of the environment."""
        return result.laps.spans

    def work(self) -> dict[str, int]:
        """Return the steps of one call."""
        return {"steps": self._steps}


def earned(ends: NDArray[np.int64]) -> float:
    """Return the number of steps per finished episode, where the steps of the last, unfinished one count too."""
    return len(ends) / max(1, np.count_nonzero(ends))


def perceptron(weights: Mapping[str, NDArray[np.generic]], observation: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the output of layers ``0``, ``2``, ... with ReLU between them for one observation, in numpy and f64."""
    layers = sorted({int(name.partition(".")[0]) for name in weights})
    x = observation.astype(float)
    for layer in layers:
        x = np.asarray(weights[f"{layer}.weight"], float) @ x + np.asarray(weights[f"{layer}.bias"], float)
        x = x if layer == layers[-1] else np.maximum(x, 0)
    return x


def mean_return(policy: Policy) -> float:
    """Return the mean return of `policy` over `EPISODES` episodes with fixed seeds."""
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
