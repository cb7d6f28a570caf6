"""REINFORCE (Williams 1992) as a plain loop in PyTorch: an episode, then one step along its gradient.

The random numbers that actions are drawn with are a file, so every member uses the same ones.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from pytest_duet.implementation import Implementation, Outputs

from ..control import Acting, Laps, World
from ..networks import infer, perceptron, training_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_duet.implementation import JobReader

SMALLEST_DEVIATION = 1e-8


def _right(policy: nn.Sequential, observation: NDArray[np.float32]) -> float:
    """Return the probability of action 1."""
    return infer(policy, observation).softmax(dim=0)[1].item()


@dataclass
class Learner:
    """The policy and its optimiser."""

    policy: nn.Sequential
    optimizer: torch.optim.Adam
    discount: float

    def update(self, observations: list[NDArray[np.float32]], actions: list[int]) -> float:
        """Take one step along the gradient of an episode's returns and return the loss before it."""
        weights = self._weights(len(actions))
        log_policy = self.policy(torch.from_numpy(np.array(observations))).log_softmax(dim=1)
        taken = log_policy.gather(1, torch.tensor(actions).unsqueeze(1)).squeeze(1)
        loss = -(taken * weights).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self.optimizer.step()
        return loss.item()

    def _weights(self, length: int) -> torch.Tensor:
        """Return the discounted return of each step, normalised to mean 0 and standard deviation 1 over the episode."""
        returns = np.empty(length)
        ahead = 0.0
        for step in reversed(range(length)):
            ahead = 1 + self.discount * ahead
            returns[step] = ahead
        tensor = torch.from_numpy(returns.astype(np.float32))
        return (tensor - tensor.mean()) / (tensor.std() + SMALLEST_DEVIATION)


@dataclass
class Run:
    """The result of a run."""

    learner: Learner
    laps: Laps = field(default_factory=Laps)
    actions: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class Train(Implementation[Learner, Run]):
    """Act and learn for some steps; an episode that is still running at the end takes no update."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the random numbers."""
        self._initial = perceptron(job, "initial")
        self._rate, self._discount = job.number("learning_rate"), job.number("discount")
        self._steps = job.integer("steps")
        self._starts, self._draws = job.array("starts"), job.array("draws").astype(float)
        self._script = job.array("actions") if job.flag("scripted") else None

    def fresh(self) -> Learner:
        """Return an untrained copy and a new optimiser."""
        policy = copy.deepcopy(self._initial)
        return Learner(policy, torch.optim.Adam(policy.parameters(), lr=self._rate), self._discount)

    def run(self, given: Learner) -> Run:
        """Return the run; making the environment is part of the call."""
        return self._act(given, most_updates=self._steps)

    def _act(self, learner: Learner, most_updates: int) -> Run:
        run = Run(learner)
        world = World(self._starts)
        observation = world.reset()
        observations: list[NDArray[np.float32]] = []
        run.laps.lap("environment")
        for step in range(self._steps):
            if len(run.losses) == most_updates:
                break
            action = self._draw(learner.policy, step, observation)
            run.laps.lap("inference")
            following, fell, late = world.step(action)
            run.laps.lap("environment")
            observations.append(observation)
            run.actions.append(action)
            observation = following
            run.laps.lap("buffer")
            if fell or late:
                run.losses.append(learner.update(observations, run.actions[-len(observations) :]))
                run.laps.lap("update")
                observation, observations = world.reset(), []
                run.laps.lap("environment")
        return run

    def _draw(self, policy: nn.Sequential, step: int, observation: NDArray[np.float32]) -> int:
        """Draw an action of the policy, or return the given one; the policy runs in both cases."""
        right = _right(policy, observation)
        return int(self._draws[step] < right) if self._script is None else int(self._script[step])

    def outputs(self, result: Run) -> Outputs:
        """Return the weights, every action, the loss of each episode, and the effect of the first update alone."""
        first = self._act(self.fresh(), most_updates=1)
        logits = infer(self._initial, self._starts[0].astype(np.float32))
        policy, named = first.learner.policy, dict(first.learner.policy.named_parameters())
        trained = training_outputs(
            result.learner.policy.state_dict(), result.losses, policy.state_dict(), first.losses[0], named
        )
        more = {"actions": np.array(result.actions, np.int64), "first_logits": np.array(logits.numpy())}
        return Outputs({**trained.arrays, **more}, loss=result.losses)

    def spans(self, result: Run) -> dict[str, int]:
        """Return the time of inference, of the environment, of the buffer and of updates."""
        return result.laps.spans

    def work(self) -> dict[str, int]:
        """Return the steps of one call."""
        return {"steps": self._steps}


class Act(Acting):
    """Draw the actions of a trained policy."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the numbers that actions are drawn with."""
        super().__init__(job)
        self._policy = perceptron(job, "checkpoint")
        self._draws = job.array("draws").astype(float)

    def choose(self, step: int, observation: NDArray[np.float32]) -> int:
        """Draw an action."""
        return int(self._draws[step] < _right(self._policy, observation))

    def output(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits."""
        return infer(self._policy, observation).numpy()


IMPLEMENTATIONS = {("reinforce", "train"): Train, ("reinforce", "predict"): Act}
