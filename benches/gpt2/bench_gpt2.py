"""The language model as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_gpt2(duet):
    """Time one use of GPT-2 in one framework after its outputs agree with those of transformers."""
    duet()
