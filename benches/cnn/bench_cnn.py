"""The convolutional networks as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_cnn(duet):
    """Time one network in one framework after its outputs agree with those of PyTorch."""
    duet()
