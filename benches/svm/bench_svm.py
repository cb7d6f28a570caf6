"""Support vector machines as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_svm(duet):
    """Time one support vector machine in one framework after its outputs agree with those of scikit-learn."""
    duet()
