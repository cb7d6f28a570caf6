"""The operator calls as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_dispatch(duet):
    """Time many calls of one operator in one framework after its outputs agree with those of PyTorch."""
    duet()
