"""How well a network names digits it has not seen; one function for all members.

Not for deciding what is good enough: ``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..scores import classification

if TYPE_CHECKING:
    from collections.abc import Mapping


def quality(
    algorithm: str,  # noqa: ARG001 - one network so far
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],
) -> dict[str, float]:
    """Return accuracy, and F1, precision and recall averaged over the digits, on the test part; all from 0 to 1.

    Trained weights are judged by a forward pass made here, on every test image; a predicting network by the logits it
    gave (images × digits) for the first of them.
    """
    logits = _lenet(outputs, np.asarray(data["images_test"])) if phase == "train" else outputs["logits"]
    predicted = logits.argmax(axis=1)
    return classification(np.asarray(data["labels_test"])[: len(predicted)], predicted)


def _lenet(outputs: Mapping[str, np.ndarray], images: np.ndarray) -> np.ndarray:
    """Return LeNet's logits from weights alone, written apart from any member, so that none vouches for itself."""
    import torch
    from torch.nn.functional import conv2d, linear, max_pool2d, relu

    weights = {name.removeprefix("weights."): torch.tensor(array) for name, array in outputs.items()}

    def layer(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return weights[f"{name}.weight"], weights[f"{name}.bias"]

    with torch.inference_mode():
        x = max_pool2d(relu(conv2d(torch.tensor(images), *layer("conv1"), padding=2)), 2)
        x = max_pool2d(relu(conv2d(x, *layer("conv2"))), 2).flatten(1)
        x = relu(linear(x, *layer("fc1")))
        x = relu(linear(x, *layer("fc2")))
        return linear(x, *layer("fc3")).numpy()
