"""The encoder as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_bert(duet):
    """Time one algorithm in one framework after its outputs agree with those of transformers."""
    duet()
