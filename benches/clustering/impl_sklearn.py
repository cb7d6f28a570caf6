"""Clustering in scikit-learn, called as users call it. The initial centres of k-means are part of the data."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.cluster import DBSCAN, AgglomerativeClustering, KMeans

from pytest_duet.implementation import Implementation, JobReader, Outputs

from ..estimators import Fit, Predict, variant_of

if TYPE_CHECKING:
    from collections.abc import Callable


def _kmeans(job: JobReader) -> Fit:
    start = job.array("start")
    build = partial(
        KMeans,
        len(start),
        init=start,
        n_init=1,
        algorithm="elkan" if variant_of(job, ["elkan"]) else "lloyd",
        tol=job.number("tol"),
        max_iter=job.integer("max_iterations"),
    )
    limit = job.integer("max_iterations")

    def describe(fitted: Any) -> Outputs:
        arrays = {
            "label": fitted.labels_.astype(np.int64),
            "centroid": fitted.cluster_centers_,
            "inertia": np.array([fitted.inertia_]),
        }
        return Outputs(arrays, iterations=int(fitted.n_iter_), converged=bool(fitted.n_iter_ < limit))

    return Fit(job, build, (job.array("X"),), describe)


def _predict(job: JobReader) -> Predict:
    """Predict the nearest centroid of each point."""
    return Predict(job, _kmeans(job).run(None), job.array("X_test"), "label")


def _dbscan(job: JobReader) -> Fit:
    build = partial(
        DBSCAN,
        eps=job.number("eps"),
        min_samples=job.integer("min_samples"),
        algorithm=variant_of(job, ["brute", "ball_tree"]) or "auto",
        n_jobs=job.threads,
    )
    return Fit(job, build, (job.array("X"),), lambda fitted: Outputs({"label": fitted.labels_.astype(np.int64)}))


def _agglomerative(job: JobReader) -> Fit:
    """Compute the full tree, so that every height is known; scikit-learn does so by default for so few clusters."""
    variant_of(job)
    build = partial(
        AgglomerativeClustering,
        job.integer("clusters"),
        linkage=job.text("linkage"),
        compute_full_tree=True,
        compute_distances=True,
    )

    def describe(fitted: Any) -> Outputs:
        return Outputs({"label": fitted.labels_.astype(np.int64), "height": np.sort(fitted.distances_)})

    return Fit(job, build, (job.array("X"),), describe)


IMPLEMENTATIONS: dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]] = {
    ("kmeans", "train"): _kmeans,
    ("kmeans", "predict"): _predict,
    ("dbscan", "train"): _dbscan,
    ("agglomerative", "train"): _agglomerative,
}
