"""Invariances of clustering, which hold for every member of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..invariances import Invariance, same

if TYPE_CHECKING:
    from ..invariances import Arrays, Expect

ALL = ("kmeans", "dbscan", "agglomerative")
POINTS = ("X", "start", "X_test")


def _rows(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    order = rng.permutation(len(data["X"]))
    return {"X": data["X"][order]}, lambda outputs: {**outputs, "label": outputs["label"][order]}


def _columns(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    order = rng.permutation(data["X"].shape[1])

    def expect(outputs: Arrays) -> Arrays:
        return {**outputs, "centroid": outputs["centroid"][:, order]} if "centroid" in outputs else outputs

    return {name: np.ascontiguousarray(data[name][:, order]) for name in POINTS}, expect


def _move(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    by = rng.uniform(-5.0, 5.0, data["X"].shape[1])

    def expect(outputs: Arrays) -> Arrays:
        return {**outputs, "centroid": outputs["centroid"] + by} if "centroid" in outputs else outputs

    return {name: data[name] + by for name in POINTS}, expect


def _mirror(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:  # noqa: ARG001 - deterministic
    def expect(outputs: Arrays) -> Arrays:
        return {**outputs, "centroid": -outputs["centroid"]} if "centroid" in outputs else same(outputs)

    return {name: -data[name] for name in POINTS}, expect


# A point between two dense clusters belongs to the first one, which depends on the order of rows.
INVARIANCES = {
    "rows in another order": Invariance(("kmeans", "dbscan"), _rows, 1e-3, relabelled=0.01),
    # Digits have integer pixels and many equal distances, which are merged in the order of rows, so the tree would differ.
    "leaves in another order": Invariance(("agglomerative",), _rows, 1e-12, workload="blobs_ward"),
    # Rounding decides the label of a row that is equally near to two centres.
    "columns in another order": Invariance(ALL, _columns, 1e-2, relabelled=0.01),
    "points moved together": Invariance(ALL, _move, 1e-3, relabelled=0.01),
    "points mirrored": Invariance(ALL, _mirror, 1e-3, relabelled=0.01),
}
