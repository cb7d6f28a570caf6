"""The convolutional networks in PyTorch, eager, as its tutorials write them.

Not for drawing weights or batches: both arrive as files, so that every member starts and sees the same.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pytest_duet.implementation import Implementation, InputT, JobReader, Outputs, OutputT

if TYPE_CHECKING:
    from collections.abc import Callable

    Learner = tuple["LeNet", torch.optim.Adam]


class LeNet(nn.Module):
    """LeNet-5 for images of 28×28 and ten classes, with ReLU and max pooling."""

    def __init__(self) -> None:
        """Build the layers; their first weights are replaced by the job's."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(400, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (images × 10)."""
        x = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        x = functional.max_pool2d(functional.relu(self.conv2(x)), 2).flatten(1)
        x = functional.relu(self.fc1(x))
        x = functional.relu(self.fc2(x))
        logits: torch.Tensor = self.fc3(x)
        return logits


class _OnDevice(Implementation[InputT, OutputT]):
    """A job whose tensors lie on the device it names."""

    def __init__(self, job: JobReader) -> None:
        self._job = job
        self._device = torch.device(job.device)

    def sync(self) -> None:
        """Wait for a GPU; a processor is done when a call returns."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _tensor(self, name: str) -> torch.Tensor:
        return torch.tensor(self._job.array(name), device=self._device)

    def _network(self, name: str) -> LeNet:
        model = LeNet()
        model.load_state_dict({key: torch.tensor(array) for key, array in self._job.tensors(name).items()})
        return model.to(self._device)


class Train(_OnDevice["Learner", tuple[LeNet, list[float]]]):
    """Take the first steps of training from the given weights, one batch a step."""

    def __init__(self, job: JobReader) -> None:
        """Read images, labels, batches and the weights to start from."""
        super().__init__(job)
        self._rate = job.number("learning_rate")
        self._initial = self._network("initial").train()
        self._images, self._labels = self._tensor("images_train"), self._tensor("labels_train")
        # Unlike a slice, `narrow` fails where there are fewer batches than steps.
        self._batches = self._tensor("batches").narrow(0, 0, job.integer("steps")).unbind()

    def fresh(self) -> Learner:
        """Return an untrained copy of the network and an optimiser that has seen nothing: a step changes both."""
        model = copy.deepcopy(self._initial)
        return model, torch.optim.Adam(model.parameters(), lr=self._rate)

    def run(self, given: Learner) -> tuple[LeNet, list[float]]:
        """Return the trained network and the loss before each step; reading it is part of the step, as in a log."""
        model, optimizer = given
        losses = []
        for rows in self._batches:
            images, labels = self._images.index_select(0, rows), self._labels.index_select(0, rows)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), labels)
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
            losses.append(loss.item())
        return model, losses

    def outputs(self, result: tuple[LeNet, list[float]]) -> Outputs:
        """Return every weight, the loss of each step (steps,) and alone the first (1,), which no step has touched."""
        model, losses = result
        arrays = {f"weights.{name}": tensor.numpy(force=True) for name, tensor in model.state_dict().items()}
        loss = np.array(losses, dtype=np.float32)
        return Outputs(arrays | {"loss": loss, "first_loss": loss[:1]}, loss=losses)

    def work(self) -> dict[str, int]:
        """Return the images and the steps of one call."""
        return {"samples": sum(len(rows) for rows in self._batches), "steps": len(self._batches)}


class Predict(_OnDevice[None, torch.Tensor]):
    """Run the trained network forward over one batch."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the first `batch` test images."""
        super().__init__(job)
        self._model = self._network("checkpoint").eval()
        self._images = self._tensor("images_test").narrow(0, 0, job.integer("batch"))

    def run(self, given: None) -> torch.Tensor:  # noqa: ARG002 - there is no input to use up
        """Return logits (batch × 10)."""
        with torch.inference_mode():
            logits: torch.Tensor = self._model(self._images)
        return logits

    def outputs(self, result: torch.Tensor) -> Outputs:
        """Return the logits."""
        return Outputs({"logits": result.numpy(force=True)})

    def work(self) -> dict[str, int]:
        """Return the images of one call."""
        return {"samples": len(self._images)}


IMPLEMENTATIONS: dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]]
IMPLEMENTATIONS = {("lenet", "train"): Train, ("lenet", "predict"): Predict}
