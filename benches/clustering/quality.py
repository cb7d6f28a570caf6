"""The agreement of a clustering with the true groups; one function for all members.

``task.toml`` sets the limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Outputs = Mapping[str, np.ndarray]
    Data = Mapping[str, np.ndarray | Mapping[str, np.ndarray]]

NOISE = -1


def quality(algorithm: str, phase: str, outputs: Outputs, data: Data) -> dict[str, float]:
    """Return the adjusted Rand index and other measures of a clustering.

    These are the inertia per row of k-means, computed here from labels and centroids, the number of clusters of the other
    algorithms, and the fraction of noise of DBSCAN.
    """
    from sklearn.metrics import adjusted_rand_score

    label = outputs["label"]
    truth = np.asarray(data["y_test" if phase == "predict" else "y"])
    values = {"ari": float(adjusted_rand_score(truth, label))}
    if "centroid" in outputs:
        return values | {"inertia": _inertia(outputs, data) / len(label)}
    if algorithm == "kmeans":
        return values
    values["clusters"] = float(len(np.unique(label[label != NOISE])))
    return values | {"noise": float(np.mean(label == NOISE))} if algorithm == "dbscan" else values


def objective(algorithm: str, outputs: Outputs, data: Data, params: Mapping[str, Scalar]) -> float:  # noqa: ARG001 - the same signature in every task
    """Return the objective of k-means: the sum of squared distances of the points from their centroids."""
    return _inertia(outputs, data)


def _inertia(outputs: Outputs, data: Data) -> float:
    gaps = np.asarray(data["X"]) - outputs["centroid"][outputs["label"]]
    return float(np.square(gaps).sum())
