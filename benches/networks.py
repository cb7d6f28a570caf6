"""PyTorch's networks as implementations, trained and run as in its tutorials: the part that the tasks of images and sequences share.

Initial weights and batches are files, so every member starts from and reads the same ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import Implementation, InputT, JobReader, Outputs, OutputT

if TYPE_CHECKING:
    Learner = tuple[nn.Module, torch.optim.Adam]
    Trained = tuple[nn.Module, list[float]]

Weights = Mapping[str, np.ndarray]
Tensors = Mapping[str, torch.Tensor]
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]
VARIANTS = ("", "compile")
Build = Callable[[Weights], nn.Module]
"""Takes the weights, which give the sizes, and returns a network to load them into."""


def _forward(network: nn.Module, examples: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = network(examples)
    return logits


@cache
def _compiled() -> Forward:
    """Return the compiled forward pass, the same object in every call, so that all copies of a network share one compilation."""
    # Import the compiler only here: it takes seconds, and memory that eager members do not need.
    from torch._inductor import config

    # Without caches of an earlier process, the preparation time includes compilation. Without a pool of processes, nothing
    # outlives the job.
    config.force_disable_caches = True
    config.compile_threads = 1
    return torch.compile(_forward)


def _forward_of(job: JobReader) -> Forward:
    """Return the forward pass of the job's variant, eager or compiled."""
    if job.variant not in VARIANTS:
        raise ImplementationError(f"variant {job.variant!r} is not implemented here; known variants: {VARIANTS}")
    return _compiled() if job.variant else _forward


def implementations(
    networks: Mapping[str, Build],
) -> dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]]:
    """Return the implementations of a task, given its networks by algorithm."""

    def prepare(kind: type[_Network[Any, Any]], build: Build) -> Callable[[JobReader], Implementation[Any, Any]]:
        return lambda job: kind(job, build)

    phases: dict[str, type[_Network[Any, Any]]] = {"train": Train, "predict": Predict}
    return {(name, phase): prepare(kind, build) for name, build in networks.items() for phase, kind in phases.items()}


class OnDevice(Implementation[InputT, OutputT]):
    """A job whose tensors are on the device that it names."""

    def __init__(self, job: JobReader) -> None:
        """Read the device."""
        self._job = job
        self._device = torch.device(job.device)

    def sync(self) -> None:
        """Wait for a GPU; on a CPU a call has finished when it returns."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _tensor(self, name: str) -> torch.Tensor:
        return torch.tensor(self._job.array(name), device=self._device)


class _Network(OnDevice[InputT, OutputT]):
    """A job with a network on its device."""

    def __init__(self, job: JobReader, build: Build, weights: str) -> None:
        """Load the weights of data file `weights` into a network of `build`."""
        super().__init__(job)
        given = job.tensors(weights)
        network = build(given)
        # Counters of batches are not weights.
        loaded = network.load_state_dict({name: torch.tensor(array) for name, array in given.items()}, strict=False)
        missing = [name for name in loaded.missing_keys if not name.endswith("num_batches_tracked")]
        if missing or loaded.unexpected_keys:
            extra = loaded.unexpected_keys
            msg = f"data file {weights!r} does not fit: missing weights {missing}, unexpected weights {extra}; write it again"
            raise ImplementationError(msg)
        self._network = network.to(self._device)
        self._forward = _forward_of(job)


class Train(_Network["Learner", "Trained"]):
    """Take the first steps of training from given weights, one batch per step."""

    def __init__(self, job: JobReader, build: Build) -> None:
        """Read examples, labels, batches and initial weights."""
        super().__init__(job, build, f"initial_{job.algorithm}")
        self._rate = job.number("learning_rate")
        self._initial = self._network.train()
        self._examples, self._labels = self._tensor("x_train"), self._tensor("labels_train")
        # Unlike a slice, `narrow` fails if there are fewer batches than steps.
        self._batches = self._tensor("batches").narrow(0, 0, job.integer("steps")).unbind()
        self._epoch = len(self._examples) // self._batches[0].numel()
        if job.variant:
            self._step(*self.fresh(), self._batches[0])

    def fresh(self) -> Learner:
        """Return an untrained copy of the network and a new optimiser; a step changes both."""
        network = copy.deepcopy(self._initial)
        return network, torch.optim.Adam(network.parameters(), lr=self._rate)

    def run(self, given: Learner) -> Trained:
        """Return the trained network and the loss before each step; reading the loss is part of the step, as for a log."""
        network, optimizer = given
        return network, [self._step(network, optimizer, rows) for rows in self._batches]

    def _step(self, network: nn.Module, optimizer: torch.optim.Adam, rows: torch.Tensor) -> float:
        examples, labels = self._examples.index_select(0, rows), self._labels.index_select(0, rows)
        optimizer.zero_grad()
        loss = functional.cross_entropy(self._forward(network, examples), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        return loss.item()

    def outputs(self, result: Trained) -> Outputs:
        """Return every weight, the loss of each step (steps,), and the effect of the first step alone.

        The first step is repeated outside the timed region: its loss (1,), each gradient, and each weight after it.
        """
        network, losses = result
        first, optimizer = self.fresh()
        first_loss = self._step(first, optimizer, self._batches[0])
        return training_outputs(
            network.state_dict(), losses, first.state_dict(), first_loss, dict(first.named_parameters())
        )

    def work(self) -> dict[str, int]:
        """Return the examples and the steps of one call, and its epochs if they are whole."""
        steps = len(self._batches)
        epochs = {} if steps % self._epoch else {"epochs": steps // self._epoch}
        return {"samples": sum(len(rows) for rows in self._batches), "steps": steps} | epochs


class Predict(_Network[None, torch.Tensor]):
    """Run the trained network forward over one batch."""

    def __init__(self, job: JobReader, build: Build) -> None:
        """Read the weights and the first `batch` examples of the test part."""
        super().__init__(job, build, "checkpoint")
        self._network.eval()
        self._examples = self._tensor("x_test").narrow(0, 0, job.integer("batch"))
        if job.variant:
            self.run(None)

    def run(self, given: None) -> torch.Tensor:  # noqa: ARG002 - there is no input to use up
        """Return the logits (batch × classes)."""
        with torch.inference_mode():
            return self._forward(self._network, self._examples)

    def outputs(self, result: torch.Tensor) -> Outputs:
        """Return the logits."""
        return Outputs({"logits": result.numpy(force=True)})

    def work(self) -> dict[str, int]:
        """Return the examples of one call."""
        return {"samples": len(self._examples)}


def perceptron(job: JobReader, file: str) -> nn.Sequential:
    """Return linear layers with ReLU between them, with the weights in data file `file`."""
    weights = {name: torch.tensor(each) for name, each in job.tensors(file).items()}
    layers: list[nn.Module] = []
    for name in sorted(name for name in weights if name.endswith(".weight")):
        outputs, inputs = weights[name].shape
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict(weights)
    return network


def infer(network: nn.Module, example: np.ndarray) -> torch.Tensor:
    """Return the output of `network` for one example, without computing gradients."""
    with torch.no_grad():
        answer: torch.Tensor = network(torch.from_numpy(example))
    return answer


def training_outputs(
    weights: Tensors, losses: Sequence[float], first_weights: Tensors, first_loss: float, first_parameters: Tensors
) -> Outputs:
    """Return the outputs of training, under the names that the parity rules use.

    They are the `weights` after all steps and the loss before each step, and, for the first step alone, the weights after it, its
    loss, and the gradients that `first_parameters` still hold.
    """
    gradients = {name: each.grad for name, each in first_parameters.items() if each.grad is not None}
    return Outputs(
        arrays("weights", weights)
        | arrays("first_weights", first_weights)
        | arrays("first_gradient", gradients)
        | {"loss": np.array(losses, np.float32), "first_loss": np.array([first_loss], np.float32)},
        loss=losses,
    )


def arrays(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return copies of the tensors of floats, with `prefix` and a dot before their names."""
    # Copy the weights, because the next step changes the network in place.
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    return {f"{prefix}.{name}": np.array(tensor.numpy(force=True)) for name, tensor in floats.items()}
