"""Clustering as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_clustering(duet):
    """Time one way of clustering in one framework, after it agreed with scikit-learn."""
    duet()
