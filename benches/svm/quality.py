"""The quality of a support vector machine on rows that it has not seen, and its objective; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..scores import classification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Outputs = Mapping[str, np.ndarray]
    Data = Mapping[str, np.ndarray | Mapping[str, np.ndarray]]

BLOCK = 2048
"""Number of kernel rows in memory at a time."""


def quality(algorithm: str, phase: str, outputs: Outputs, data: Data) -> dict[str, float]:  # noqa: ARG001 - the same for all
    """Return accuracy, and F1, precision and recall averaged over the classes, on the test part; all from 0 to 1.

    For a trained model, the decisions are computed here from its coefficients; its own decisions do not count.
    """
    truth = np.asarray(data["y_test"])
    if phase == "predict":
        return classification(truth, outputs["label"])
    if "coef" in outputs:
        decision = np.asarray(data["X_test"]) @ outputs["coef"] + outputs["intercept"]
        return classification(truth, (decision > 0).astype(np.int64))
    values = classification(truth, _votes(_decisions(outputs, data), len(np.unique(data["y_train"]))))
    return values | {"support_vectors": float(np.count_nonzero(outputs["dual"].any(axis=0)))}


def objective(algorithm: str, outputs: Outputs, data: Data, params: Mapping[str, Scalar]) -> float:
    """Return the objective: the primal for `linear_svc`, the dual for the others, summed over pairs of classes.

    With y = ±1, the primal is (‖w‖² + b²)/2 + C·Σ max(0, 1 − y·f)², which regularises the bias too (Fan et al. 2008), and the dual
    of C-SVC is ½ αᵀQα − Σα (Chang and Lin 2011).
    """
    if algorithm == "linear_svc":
        sign = np.where(np.asarray(data["y_train"]) == 1, 1.0, -1.0)
        coef, intercept = outputs["coef"], outputs["intercept"][0]
        slack = np.maximum(0.0, 1.0 - sign * (np.asarray(data["X_train"]) @ coef + intercept))
        cost = params["C"]
        assert isinstance(cost, int | float)
        return float(0.5 * (coef @ coef + intercept**2) + cost * slack @ slack)
    x, gamma = np.asarray(data["X_train"]), float(np.asarray(data["gamma"])[0])
    total = 0.0
    for dual in outputs["dual"]:
        rows = np.flatnonzero(dual)
        fields = np.concatenate([_kernel(x[part], x[rows], gamma) @ dual[rows] for part in _blocks(rows)])
        total += 0.5 * dual[rows] @ fields - np.abs(dual).sum()
    return float(total)


def _decisions(outputs: Outputs, data: Data) -> np.ndarray:
    """Return the decision of each pair of classes for each test row: rows × pairs, positive for the later class."""
    x, test = np.asarray(data["X_train"]), np.asarray(data["X_test"])
    gamma = float(np.asarray(data["gamma"])[0])
    rows = np.flatnonzero(outputs["dual"].any(axis=0))
    dual = outputs["dual"][:, rows]
    parts = _blocks(np.arange(len(test)))
    return np.concatenate([_kernel(test[part], x[rows], gamma) @ dual.T for part in parts]) + outputs["intercept"]


def _votes(decisions: np.ndarray, classes: int) -> np.ndarray:
    """Return the class that wins most pairs, the first of equals."""
    votes = np.zeros((len(decisions), classes), dtype=np.int64)
    for (first, second), decision in zip(combinations(range(classes), 2), decisions.T, strict=True):
        votes[:, second] += decision > 0
        votes[:, first] += decision <= 0
    return votes.argmax(axis=1)


def _kernel(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    squares = np.square(a).sum(axis=1)[:, np.newaxis] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.exp(-gamma * np.maximum(squares, 0.0))


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK)]
