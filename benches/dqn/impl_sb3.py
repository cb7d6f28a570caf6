"""Deep Q-learning in Stable-Baselines3, the most common implementation, with its own loop and random numbers.

It starts from the same weights and follows the same rules, but its loop does other work, so it does not compare languages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

from pytest_duet.implementation import Implementation, Outputs

from ..control import Acting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_duet.implementation import JobReader


class Log(BaseCallback):
    """Records what the loop does: every action, and the loss of each learning step."""

    def __init__(self) -> None:
        """Start with an empty log."""
        super().__init__()
        self.actions: list[int] = []
        self.losses: list[float] = []
        self._learned = 0

    def _on_step(self) -> bool:
        self.actions.append(int(self.locals["actions"][0]))
        self._note()
        return True

    def _on_training_end(self) -> None:
        self._note()

    def _note(self) -> None:
        # The loop learns after the step that it reports, so each loss appears one step later.
        updates = self.model._n_updates  # noqa: SLF001 - Stable-Baselines3 has no public counter
        if updates != self._learned:
            self._learned = updates
            self.losses.append(float(self.logger.name_to_value["train/loss"]))


class Train(Implementation[DQN, "tuple[DQN, Log]"]):
    """Act and learn for some steps."""

    max_iterations = 1

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the rules."""
        self._weights = {name: torch.tensor(each) for name, each in job.tensors("initial").items()}
        self._seed = job.job.seed
        self._steps = job.integer("steps")
        self._batch = job.array("replay").shape[1]
        explored = job.number("exploration_steps")
        self._rules = {
            "learning_rate": job.number("learning_rate"),
            "gamma": job.number("discount"),
            "max_grad_norm": job.number("clip"),
            "learning_starts": job.integer("learning_starts"),
            "train_freq": job.integer("train_every"),
            "gradient_steps": job.integer("updates"),
            "target_update_interval": job.integer("align_every"),
            "exploration_fraction": explored / self._steps,
            "exploration_final_eps": job.number("exploration_last"),
        }

    def fresh(self) -> DQN:
        """Return an untrained model with the initial weights of every member."""
        model = DQN(
            "MlpPolicy",
            gymnasium.make("CartPole-v1"),
            batch_size=self._batch,
            buffer_size=self._steps,
            policy_kwargs={"net_arch": [len(self._weights["0.bias"])] * 2},
            seed=self._seed,
            device="cpu",
            **self._rules,
        )
        for network in (model.q_net, model.q_net_target):
            network.q_net.load_state_dict(self._weights)
        return model

    def run(self, given: DQN) -> tuple[DQN, Log]:
        """Return the trained model and the log of its loop."""
        log = Log()
        given.learn(self._steps, callback=log)
        return given, log

    def outputs(self, result: tuple[DQN, Log]) -> Outputs:
        """Return the weights, every action, and the mean loss of each learning step."""
        model, log = result
        weights = {
            f"weights.{name}": each.numpy(force=True).copy() for name, each in model.q_net.q_net.state_dict().items()
        }
        return Outputs(
            weights | {"actions": np.array(log.actions, np.int64), "loss": np.array(log.losses, np.float32)},
            loss=log.losses,
        )

    def work(self) -> dict[str, int]:
        """Return the steps and the updates of one call."""
        every, starts = int(self._rules["train_freq"]), int(self._rules["learning_starts"])
        learning = self._steps // every - max(starts, 0) // every
        return {"steps": self._steps, "updates": learning * int(self._rules["gradient_steps"])}


class Act(Acting):
    """Run a trained model as users do: with `predict`, which takes and returns arrays."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights."""
        super().__init__(job)
        weights = {name: torch.tensor(each) for name, each in job.tensors("checkpoint").items()}
        self._model = DQN(
            "MlpPolicy",
            gymnasium.make("CartPole-v1"),
            buffer_size=1,
            policy_kwargs={"net_arch": [len(weights["0.bias"])] * 2},
            device="cpu",
        )
        self._model.q_net.q_net.load_state_dict(weights)

    def choose(self, step: int, observation: NDArray[np.float32]) -> int:  # noqa: ARG002 - nothing is drawn
        """Return the best action."""
        return int(self._model.predict(observation, deterministic=True)[0])

    def output(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the value of each action."""
        with torch.no_grad():
            rated: NDArray[np.float32] = self._model.q_net(torch.from_numpy(observation).unsqueeze(0))[0].numpy()
        return rated


IMPLEMENTATIONS = {("dqn", "train"): Train, ("dqn", "predict"): Act}
