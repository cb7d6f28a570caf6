"""The encoder as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_bert(duet):
    """Time one algorithm in one framework, after it agreed with transformers."""
    duet()
