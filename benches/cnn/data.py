"""The images, the batches and the initial weights of every network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..recipes import batches, dense, digits, integer, split_classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_duet.values import Scalar

    Weights = dict[str, np.ndarray]
    Data = dict[str, np.ndarray | Weights]

LENET = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}
SIMPLE_CNN = {"conv1": (32, 1, 3, 3), "conv2": (64, 32, 3, 3), "fc1": (128, 3136), "fc2": (10, 128)}
"""The shape of each layer's weight: outputs, inputs, and the kernel."""

RESNET18 = {"layer1": (64, 64), "layer2": (64, 128), "layer3": (128, 256), "layer4": (256, 512)}
"""The input and output channels of each stage of two blocks."""


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> Data:
    """Return images (count × 1 × side × side, f32), labels (i64), batches (steps × batch, i64 rows) and weights.

    `networks` lists the networks whose weights are made, separated by spaces: ``initial_lenet`` and so on.
    """
    side, batch, epochs = (integer(params, name) for name in ("side", "batch", "epochs"))
    images, labels = digits(side)
    images = images[:, np.newaxis]
    train, test = split_classes(labels, rng)
    made: Data = {
        "x_train": images[train],
        "labels_train": labels[train],
        "x_test": images[test],
        "labels_test": labels[test],
        "batches": batches(len(train), batch, epochs, rng),
    }
    return made | {f"initial_{name}": INITIAL[name](rng) for name in str(params["networks"]).split()}


def size(params: Mapping[str, Scalar]) -> str:
    """Return images × side × side before the split."""
    return f"1797×{params['side']}×{params['side']}"


def _plain(shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator) -> Weights:
    return {name: weight for layer, shape in shapes.items() for name, weight in dense(layer, shape, rng).items()}


def _resnet18(rng: np.random.Generator) -> Weights:
    """Return the weights of ResNet-18, drawn as in torchvision: the spread of a convolution depends on its outputs."""

    def convolution(name: str, shape: tuple[int, ...]) -> Iterator[tuple[str, np.ndarray]]:
        deviation = np.sqrt(2 / (shape[0] * shape[2] * shape[3]))
        yield f"{name}.weight", (deviation * rng.standard_normal(shape)).astype(np.float32)

    def norm(name: str, channels: int) -> Iterator[tuple[str, np.ndarray]]:
        for what, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            yield f"{name}.{what}", np.full(channels, value, np.float32)

    def layers() -> Iterator[tuple[str, np.ndarray]]:
        yield from convolution("conv1", (64, 1, 3, 3))
        yield from norm("bn1", 64)
        for stage, (inputs, outputs) in RESNET18.items():
            for block, given in enumerate((inputs, outputs)):
                at = f"{stage}.{block}"
                yield from convolution(f"{at}.conv1", (outputs, given, 3, 3))
                yield from norm(f"{at}.bn1", outputs)
                yield from convolution(f"{at}.conv2", (outputs, outputs, 3, 3))
                yield from norm(f"{at}.bn2", outputs)
            if inputs != outputs:
                yield from convolution(f"{stage}.0.downsample.0", (outputs, inputs, 1, 1))
                yield from norm(f"{stage}.0.downsample.1", outputs)
        yield from dense("fc", (10, 512), rng).items()

    return dict(layers())


INITIAL = {
    "lenet": lambda rng: _plain(LENET, rng),
    "simple_cnn": lambda rng: _plain(SIMPLE_CNN, rng),
    "resnet18": _resnet18,
}
