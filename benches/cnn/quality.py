"""The quality of a network on digits that it has not seen; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..scores import classifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import torch

    Arrays = Mapping[str, np.ndarray]
    Weights = Mapping[str, torch.Tensor]
    Forward = Callable[[torch.Tensor, Weights], torch.Tensor]


def quality(algorithm: str, phase: str, outputs: Arrays, data: Mapping[str, np.ndarray | Arrays]) -> dict[str, float]:
    """Return the scores of a classifier, for trained weights by a forward pass computed here."""
    return classifier(phase, outputs, data, partial(_logits, algorithm))


def _logits(algorithm: str, trained: Arrays, images: np.ndarray) -> np.ndarray:
    """Return the logits from weights alone, computed independently of all members."""
    import torch

    weights = {name: torch.tensor(array) for name, array in trained.items()}
    with torch.inference_mode():
        return FORWARD[algorithm](torch.tensor(images), weights).numpy()


def _lenet(x: torch.Tensor, weights: Weights) -> torch.Tensor:
    from torch.nn.functional import conv2d, max_pool2d, relu

    x = max_pool2d(relu(conv2d(x, *_layer(weights, "conv1"), padding=2)), 2)
    x = max_pool2d(relu(conv2d(x, *_layer(weights, "conv2"))), 2).flatten(1)
    return _dense(x, weights, "fc1", "fc2", "fc3")


def _simple_cnn(x: torch.Tensor, weights: Weights) -> torch.Tensor:
    from torch.nn.functional import conv2d, max_pool2d, relu

    for name in ("conv1", "conv2"):
        x = max_pool2d(relu(conv2d(x, *_layer(weights, name), padding=1)), 2)
    return _dense(x.flatten(1), weights, "fc1", "fc2")


def _resnet18(x: torch.Tensor, weights: Weights) -> torch.Tensor:
    from torch.nn.functional import batch_norm, conv2d, relu

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        of: Any = (weights[f"{name}.{what}"] for what in ("running_mean", "running_var", "weight", "bias"))
        return batch_norm(x, *of)

    x = relu(norm(conv2d(x, weights["conv1.weight"], padding=1), "bn1"))
    for at in (f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)):
        skip = weights.get(f"{at}.downsample.0.weight")
        stride = 1 if skip is None else 2
        y = relu(norm(conv2d(x, weights[f"{at}.conv1.weight"], stride=stride, padding=1), f"{at}.bn1"))
        y = norm(conv2d(y, weights[f"{at}.conv2.weight"], padding=1), f"{at}.bn2")
        x = relu(y + (x if skip is None else norm(conv2d(x, skip, stride=stride), f"{at}.downsample.1")))
    return _dense(x.mean(dim=(2, 3)), weights, "fc")


FORWARD: dict[str, Forward] = {"lenet": _lenet, "simple_cnn": _simple_cnn, "resnet18": _resnet18}


def _dense(x: torch.Tensor, weights: Weights, *names: str) -> torch.Tensor:
    """Apply linear layers to `x`, with a ReLU between each two."""
    from torch.nn.functional import linear, relu

    for name in names[:-1]:
        x = relu(linear(x, *_layer(weights, name)))
    return linear(x, *_layer(weights, names[-1]))


def _layer(weights: Weights, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
