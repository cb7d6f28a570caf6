"""The linear models as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_regression(duet):
    """Time one linear model in one framework, after it agreed with scikit-learn."""
    duet()
