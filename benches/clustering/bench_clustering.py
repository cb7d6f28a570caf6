"""Clustering as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_clustering(duet):
    """Time one clustering algorithm in one framework after its outputs agree with those of scikit-learn."""
    duet()
