"""How well labels agree with the truth, for every room that predicts classes.

Not for deciding what is good enough: each room's ``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


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
