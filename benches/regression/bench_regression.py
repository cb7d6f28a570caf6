"""The linear models as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_regression(duet):
    """Time one linear model in one framework after its outputs agree with those of scikit-learn."""
    duet()
