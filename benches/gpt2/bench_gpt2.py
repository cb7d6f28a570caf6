"""The language model as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_gpt2(duet):
    """Time one use of GPT-2 in one framework, after it agreed with transformers."""
    duet()
