"""Deep Q-learning as Stable-Baselines3 has it: what most people run, with its own loop and its own random numbers.

Not a comparison of languages: another loop does other work. It starts from the same weights and keeps the same rules.
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
    """Notes what the loop does: every action, and the loss each time it learnt."""

    def __init__(self) -> None:
        """Start with nothing."""
        super().__init__()
        self.actions: list[int] = []
        self.losses: list[float] = []
        self._learnt = 0

    def _on_step(self) -> bool:
        self.actions.append(int(self.locals["actions"][0]))
        self._note()
        return True

    def _on_training_end(self) -> None:
        self._note()

    def _note(self) -> None:
        # The loop learns after the step that is reported, so each loss is seen one step later.
        updates = self.model._n_updates  # noqa: SLF001 - Stable-Baselines3 has no other way to ask
        if updates != self._learnt:
            self._learnt = updates
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
        """Return a model that has seen nothing, with the weights every member starts from."""
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
        """Return the trained model and what its loop did."""
        log = Log()
        given.learn(self._steps, callback=log)
        return given, log

    def outputs(self, result: tuple[DQN, Log]) -> Outputs:
        """Return weights, every action, and the mean loss each time it learnt."""
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
    """Ask a trained model as its users do: `predict`, which takes and gives arrays."""

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

    def answer(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what each action is rated."""
        with torch.no_grad():
            rated: NDArray[np.float32] = self._model.q_net(torch.from_numpy(observation).unsqueeze(0))[0].numpy()
        return rated


IMPLEMENTATIONS = {("dqn", "train"): Train, ("dqn", "predict"): Act}
