"""Support vector machines as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_svm(duet):
    """Time one support vector machine in one framework, after it agreed with scikit-learn."""
    duet()
