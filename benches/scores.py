"""Quality scores that several tasks share.

Each task's ``task.toml`` sets the limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Arrays = Mapping[str, np.ndarray]

PREFIX = "weights."
"""The prefix of trained weights among the outputs."""


def trained_weights(outputs: Arrays) -> dict[str, np.ndarray]:
    """Return the trained weights among `outputs` by name."""
    return {name.removeprefix(PREFIX): each for name, each in outputs.items() if name.startswith(PREFIX)}


def classifier(
    phase: str,
    outputs: Arrays,
    data: Mapping[str, np.ndarray | Arrays],
    forward: Callable[[Arrays, np.ndarray], np.ndarray],
) -> dict[str, float]:
    """Return accuracy, F1, precision and recall (averaged over the classes) from 0 to 1, and the loss, on the test part.

    For trained weights, `forward` computes the logits (examples × classes) of every test example. For a network that predicts,
    the scores are those of its own logits for the first test examples.
    """
    trains = phase == "train"
    logits = forward(trained_weights(outputs), np.asarray(data["x_test"])) if trains else outputs["logits"]
    truth = np.asarray(data["labels_test"])[: len(logits)]
    return classification(truth, logits.argmax(axis=1)) | {"loss": cross_entropy(truth, logits)}


def classification(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return accuracy, and F1, precision and recall averaged over the classes; a class never predicted has precision 0."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(truth, predicted, average="macro", zero_division=0)
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "f1": float(f1),
        "precision": float(precision),
        "recall": float(recall),
    }


def cross_entropy(truth: np.ndarray, logits: np.ndarray) -> float:
    """Return the mean cross entropy, in nats, of `logits` (count × classes)."""
    from scipy.special import log_softmax

    return float(-log_softmax(logits.astype("float64"), axis=1)[range(len(truth)), truth].mean())
