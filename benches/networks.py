"""PyTorch's networks as implementations, trained and run as its tutorials do: what the rooms of images and sequences share.

Not for any one network, and not for drawing weights or batches: both arrive as files, so that every member starts from and
sees the same.
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
"""Takes the weights that will be loaded, which tell the sizes, and returns a network to load them into."""


def _forward(network: nn.Module, examples: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = network(examples)
    return logits


@cache
def _compiled() -> Forward:
    """Return the compiled way, always the same: it is found again for every copy of a network, so compiling is paid once."""
    # Asked for only here: the compiler alone takes seconds to import, and memory that eager members do not need.
    from torch._inductor import config

    # Nothing is taken from an earlier process, or preparing would tell nothing of what compiling costs; and no pool of
    # processes, which would outlive the job.
    config.force_disable_caches = True
    config.compile_threads = 1
    return torch.compile(_forward)


def _forward_of(job: JobReader) -> Forward:
    """Return what runs a network, as the job's variant has it: eagerly, or through the compiler."""
    if job.variant not in VARIANTS:
        raise ImplementationError(f"variant {job.variant!r} is not known here; known variants: {VARIANTS}")
    return _compiled() if job.variant else _forward


def implementations(
    networks: Mapping[str, Build],
) -> dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]]:
    """Return what a room's module must hold, from the networks by name of their algorithm."""

    def prepare(kind: type[_Network[Any, Any]], build: Build) -> Callable[[JobReader], Implementation[Any, Any]]:
        return lambda job: kind(job, build)

    phases: dict[str, type[_Network[Any, Any]]] = {"train": Train, "predict": Predict}
    return {(name, phase): prepare(kind, build) for name, build in networks.items() for phase, kind in phases.items()}


class OnDevice(Implementation[InputT, OutputT]):
    """A job whose tensors lie on the device it names."""

    def __init__(self, job: JobReader) -> None:
        """Take note of the device."""
        self._job = job
        self._device = torch.device(job.device)

    def sync(self) -> None:
        """Wait for a GPU; a processor is done when a call returns."""
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
        # Buffers that count batches are nobody's weights.
        loaded = network.load_state_dict({name: torch.tensor(array) for name, array in given.items()}, strict=False)
        missing = [name for name in loaded.missing_keys if not name.endswith("num_batches_tracked")]
        if missing or loaded.unexpected_keys:
            msg = f"data file {weights!r} lacks {missing or 'nothing'} and has {loaded.unexpected_keys or 'nothing'} too much"
            raise ImplementationError(msg)
        self._network = network.to(self._device)
        self._forward = _forward_of(job)


class Train(_Network["Learner", "Trained"]):
    """Take the first steps of training from the given weights, one batch a step."""

    def __init__(self, job: JobReader, build: Build) -> None:
        """Read examples, labels, batches and the weights to start from."""
        super().__init__(job, build, f"initial_{job.algorithm}")
        self._rate = job.number("learning_rate")
        self._initial = self._network.train()
        self._examples, self._labels = self._tensor("x_train"), self._tensor("labels_train")
        # Unlike a slice, `narrow` fails where there are fewer batches than steps.
        self._batches = self._tensor("batches").narrow(0, 0, job.integer("steps")).unbind()
        self._epoch = len(self._examples) // self._batches[0].numel()
        if job.variant:
            self._step(*self.fresh(), self._batches[0])

    def fresh(self) -> Learner:
        """Return an untrained copy of the network and an optimiser that has seen nothing: a step changes both."""
        network = copy.deepcopy(self._initial)
        return network, torch.optim.Adam(network.parameters(), lr=self._rate)

    def run(self, given: Learner) -> Trained:
        """Return the trained network and the loss before each step; reading it is part of the step, as in a log."""
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
        """Return every weight, the loss of each step (steps,), and what the first step alone does, taken again off the clock.

        Of the first step: its loss (1,), the gradient of each parameter, and each weight after it.
        """
        network, losses = result
        first, optimizer = self.fresh()
        first_loss = self._step(first, optimizer, self._batches[0])
        return training_outputs(
            network.state_dict(), losses, first.state_dict(), first_loss, dict(first.named_parameters())
        )

    def work(self) -> dict[str, int]:
        """Return the examples and the steps of one call, and its epochs where they are whole."""
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
        """Return logits (batch × classes)."""
        with torch.inference_mode():
            return self._forward(self._network, self._examples)

    def outputs(self, result: torch.Tensor) -> Outputs:
        """Return the logits."""
        return Outputs({"logits": result.numpy(force=True)})

    def work(self) -> dict[str, int]:
        """Return the examples of one call."""
        return {"samples": len(self._examples)}


def perceptron(job: JobReader, file: str) -> nn.Sequential:
    """Return linear layers with ReLU between them, as many and as wide as the weights of data file `file` say."""
    weights = {name: torch.tensor(each) for name, each in job.tensors(file).items()}
    layers: list[nn.Module] = []
    for name in sorted(name for name in weights if name.endswith(".weight")):
        outputs, inputs = weights[name].shape
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    network.load_state_dict(weights)
    return network


def ask(network: nn.Module, example: np.ndarray) -> torch.Tensor:
    """Return what `network` makes of one example, without a gradient."""
    with torch.no_grad():
        answer: torch.Tensor = network(torch.from_numpy(example))
    return answer


def training_outputs(
    weights: Tensors, losses: Sequence[float], first_weights: Tensors, first_loss: float, learnt: Tensors
) -> Outputs:
    """Return what every member that trains hands over, under the names the rules of parity know.

    `weights` after all steps and the loss before each; of the first step alone the weights after it, its loss, and the
    gradients that the parameters `learnt` still hold.
    """
    gradients = {name: each.grad for name, each in learnt.items() if each.grad is not None}
    return Outputs(
        arrays("weights", weights)
        | arrays("first_weights", first_weights)
        | arrays("first_gradient", gradients)
        | {"loss": np.array(losses, np.float32), "first_loss": np.array([first_loss], np.float32)},
        loss=losses,
    )


def arrays(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Return copies of the tensors of floats, their names after `prefix` and a dot."""
    # Copies, because the weights a call gave must stay what they are while the next step changes the network.
    floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    return {f"{prefix}.{name}": np.array(tensor.numpy(force=True)) for name, tensor in floats.items()}
