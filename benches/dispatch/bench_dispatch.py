"""The operator calls as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_dispatch(duet):
    """Time many calls of one operator in one framework, after it agreed with PyTorch."""
    duet()
