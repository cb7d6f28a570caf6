"""How well a network names digits it has not seen; one function for all members.

Not for deciding what is good enough: ``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..scores import classification, cross_entropy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    Weights = Mapping[str, torch.Tensor]
    Forward = Callable[[torch.Tensor, Weights], torch.Tensor]


def quality(
    algorithm: str,
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],
) -> dict[str, float]:
    """Return accuracy, F1, precision and recall (averaged over the digits) from 0 to 1, and the loss, on the test part.

    Trained weights are judged by a forward pass made here, on every test image; a predicting network by the logits it
    gave (images × digits) for the first of them.
    """
    logits = _logits(algorithm, outputs, np.asarray(data["x_test"])) if phase == "train" else outputs["logits"]
    truth = np.asarray(data["labels_test"])[: len(logits)]
    return classification(truth, logits.argmax(axis=1)) | {"loss": cross_entropy(truth, logits)}


def _logits(algorithm: str, outputs: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Return the logits from weights alone, written apart from any member, so that none vouches for itself."""
    import torch

    prefix = "weights."
    weights = {
        name.removeprefix(prefix): torch.tensor(array) for name, array in outputs.items() if name.startswith(prefix)
    }
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
        across = weights.get(f"{at}.downsample.0.weight")
        stride = 1 if across is None else 2
        y = relu(norm(conv2d(x, weights[f"{at}.conv1.weight"], stride=stride, padding=1), f"{at}.bn1"))
        y = norm(conv2d(y, weights[f"{at}.conv2.weight"], padding=1), f"{at}.bn2")
        x = relu(y + (x if across is None else norm(conv2d(x, across, stride=stride), f"{at}.downsample.1")))
    return _dense(x.mean(dim=(2, 3)), weights, "fc")


FORWARD: dict[str, Forward] = {"lenet": _lenet, "simple_cnn": _simple_cnn, "resnet18": _resnet18}


def _dense(x: torch.Tensor, weights: Weights, *names: str) -> torch.Tensor:
    """Return what linear layers make of `x`, with a ReLU between each two."""
    from torch.nn.functional import linear, relu

    for name in names[:-1]:
        x = relu(linear(x, *_layer(weights, name)))
    return linear(x, *_layer(weights, names[-1]))


def _layer(weights: Weights, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return weights[f"{name}.weight"], weights[f"{name}.bias"]
