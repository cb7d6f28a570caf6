"""Deep Q-learning (Mnih et al. 2015) as a plain loop in PyTorch, with the defaults of Stable-Baselines3.

The random numbers of exploration and replay are files, so every member uses the same ones.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import Implementation, Outputs

from ..control import Acting, Laps, World, ended
from ..networks import arrays, infer, perceptron, training_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_duet.implementation import JobReader

    Batch = tuple[torch.Tensor, ...]


def _best(network: nn.Sequential, observation: NDArray[np.float32]) -> int:
    """Return the action of the highest value."""
    return int(infer(network, observation).argmax())


class Replay:
    """A replay buffer of as many transitions as a run has steps."""

    def __init__(self, capacity: int) -> None:
        """Reserve memory for `capacity` transitions."""
        self.before = np.empty((capacity, 4), np.float32)
        self.after = np.empty((capacity, 4), np.float32)
        self.actions = np.empty(capacity, np.int64)
        self.fell = np.empty(capacity, np.float32)
        self.filled = 0

    def add(self, before: NDArray[np.float32], action: int, after: NDArray[np.float32], *, fell: bool) -> None:
        """Add one transition; every reward is 1, so none is stored."""
        row = self.filled
        self.before[row], self.actions[row], self.after[row], self.fell[row] = before, action, after, fell
        self.filled += 1

    def batch(self, draws: NDArray[np.float64]) -> Batch:
        """Return the transitions that `draws` in [0, 1) select."""
        rows = (draws * self.filled).astype(np.int64)
        return tuple(torch.from_numpy(each[rows]) for each in (self.before, self.actions, self.after, self.fell))


@dataclass
class Learner:
    """The network, its target network and the optimiser."""

    network: nn.Sequential
    target: nn.Sequential
    optimizer: torch.optim.Adam
    discount: float
    clip: float

    def update(self, batch: Batch) -> float:
        """Take one step towards the target network's estimate and return the loss before it."""
        before, actions, after, fell = batch
        with torch.no_grad():
            best = self.target(after).max(dim=1).values
            goal = 1 + (1 - fell) * self.discount * best
        estimate = self.network(before).gather(1, actions.unsqueeze(1)).squeeze(1)
        loss = functional.smooth_l1_loss(estimate, goal)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimizer.step()
        return loss.item()

    def align(self) -> None:
        """Copy the network's weights to the target network."""
        self.target.load_state_dict(self.network.state_dict())


class _Learning(Implementation[Learner, Any]):
    """A job with initial weights."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the rules of one update."""
        self._initial = perceptron(job, "initial")
        if job.variant not in {"", "fused"}:
            msg = f"variant {job.variant!r} is not implemented here; known variants: fused"
            raise ImplementationError(msg)
        self._fused = job.variant == "fused"
        self._rate = job.number("learning_rate")
        self._discount, self._clip = job.number("discount"), job.number("clip")
        self._replay = job.array("replay").astype(float)

    def fresh(self) -> Learner:
        """Return untrained networks and a new optimiser."""
        network, target = copy.deepcopy(self._initial), copy.deepcopy(self._initial)
        optimizer = torch.optim.Adam(network.parameters(), lr=self._rate, fused=self._fused)
        return Learner(network, target, optimizer, self._discount, self._clip)


class Update(_Learning):
    """Updates alone, on a fixed replay buffer."""

    def __init__(self, job: JobReader) -> None:
        """Read the transitions and the number of updates."""
        super().__init__(job)
        self._updates = job.integer("updates")
        self._transitions = Replay(0)
        names = ("before", "after", "fell")
        for name in names:
            setattr(self._transitions, name, job.array(f"replay_{name}"))
        self._transitions.filled = len(self._transitions.fell)
        self._transitions.actions = job.array("actions")[: self._transitions.filled]  # type: ignore[assignment]  # i64

    def run(self, given: Learner) -> tuple[Learner, list[float]]:
        """Return the learner and the loss before each update."""
        return given, [given.update(self._transitions.batch(draws)) for draws in self._replay[: self._updates]]

    def outputs(self, result: tuple[Learner, list[float]]) -> Outputs:
        """Return the weights, the losses, and the effect of the first update alone, repeated outside the timed region."""
        learner, losses = result
        first = self.fresh()
        first_loss = first.update(self._transitions.batch(self._replay[0]))
        named = dict(first.network.named_parameters())
        return training_outputs(learner.network.state_dict(), losses, first.network.state_dict(), first_loss, named)

    def work(self) -> dict[str, int]:
        """Return the updates of one call."""
        return {"updates": self._updates}


@dataclass
class Run:
    """The result of a run."""

    learner: Learner
    laps: Laps = field(default_factory=Laps)
    actions: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class Train(_Learning):
    """Act and learn for some steps, in the order of Stable-Baselines3."""

    def __init__(self, job: JobReader) -> None:
        """Read the random numbers and the schedule."""
        super().__init__(job)
        self._steps, self._starts_learning = job.integer("steps"), job.integer("learning_starts")
        self._every, self._updates = job.integer("train_every"), job.integer("updates")
        self._align_every = job.integer("align_every")
        self._explored, self._last = job.number("exploration_steps"), job.number("exploration_last")
        self._starts = job.array("starts")
        self._actions, self._explore = job.array("actions"), job.array("explore").astype(float)

    def run(self, given: Learner) -> Run:
        """Return the run; making the environment is part of the call."""
        run = Run(given)
        world, replay = World(self._starts), Replay(self._steps)
        before = world.reset()
        updated = 0
        run.laps.lap("environment")
        for step in range(1, self._steps + 1):
            action = self._act(given.network, step - 1, before)
            run.laps.lap("inference")
            after, fell, late = world.step(action)
            run.laps.lap("environment")
            run.actions.append(action)
            replay.add(before, action, after, fell=fell)
            run.laps.lap("buffer")
            before = world.reset() if fell or late else after
            run.laps.lap("environment")
            if step % self._align_every == 0:
                given.align()
            if step % self._every == 0 and step > self._starts_learning:
                losses = []
                for draws in self._replay[updated : updated + self._updates]:
                    run.laps.lap("update")
                    batch = replay.batch(draws)
                    run.laps.lap("buffer")
                    losses.append(given.update(batch))
                updated += self._updates
                run.losses.append(sum(losses) / len(losses))
            run.laps.lap("update")
        return run

    def _act(self, network: nn.Sequential, step: int, observation: NDArray[np.float32]) -> int:
        epsilon = max(self._last, 1 + (self._last - 1) * step / self._explored)
        if self._explore[step] < epsilon:
            return int(self._actions[step])
        return _best(network, observation)

    def outputs(self, result: Run) -> Outputs:
        """Return the weights, every action, and the mean loss of each learning step."""
        return Outputs(
            arrays("weights", result.learner.network.state_dict())
            | {"actions": np.array(result.actions, np.int64), "loss": np.array(result.losses, np.float32)},
            loss=result.losses,
        )

    def spans(self, result: Run) -> dict[str, int]:
        """Return the time of inference, of the environment, of the buffer and of updates."""
        return result.laps.spans

    def work(self) -> dict[str, int]:
        """Return the steps and the updates of one call."""
        learning = self._steps // self._every - max(self._starts_learning, 0) // self._every
        return {"steps": self._steps, "updates": learning * self._updates}


class Act(Acting):
    """Take the actions with the highest values of a trained network."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights."""
        super().__init__(job)
        self._network = perceptron(job, "checkpoint")

    def choose(self, step: int, observation: NDArray[np.float32]) -> int:  # noqa: ARG002 - nothing is drawn
        """Return the best action."""
        return _best(self._network, observation)

    def output(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the value of each action."""
        return infer(self._network, observation).numpy()


class Environment(Implementation[None, Any]):
    """Gymnasium's environment alone, with given actions."""

    def __init__(self, job: JobReader) -> None:
        """Read the initial states and the actions."""
        self._starts = job.array("starts")
        self._actions = [int(action) for action in job.array("actions")[: job.integer("steps")]]

    def run(self, given: None) -> tuple[list[NDArray[np.float64]], list[int]]:  # noqa: ARG002 - there is no input
        """Return the state after each step, and how the step `ended`."""
        world = World(self._starts)
        world.reset()
        states, ends = [], []
        for action in self._actions:
            _, fell, late = world.step(action)
            states.append(world.state)
            ends.append(ended(fell=fell, late=late))
            if fell or late:
                world.reset()
        return states, ends

    def outputs(self, result: tuple[list[NDArray[np.float64]], list[int]]) -> Outputs:
        """Return the ends, and the states as bit patterns, because parity compares every bit."""
        states, ends = result
        return Outputs({"state_bits": np.array(states).view(np.int64), "ends": np.array(ends, np.int64)})

    def work(self) -> dict[str, int]:
        """Return the steps of one call."""
        return {"steps": len(self._actions)}


IMPLEMENTATIONS = {
    ("cartpole", "environment"): Environment,
    ("dqn", "update"): Update,
    ("dqn", "train"): Train,
    ("dqn", "predict"): Act,
}
