"""The recurrent networks as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_rnn(duet):
    """Time one network in one framework, after it agreed with PyTorch."""
    duet()
