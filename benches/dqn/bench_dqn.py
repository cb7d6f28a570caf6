"""Deep Q-learning as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_dqn(duet):
    """Time the environment, updates or whole runs in one framework after their outputs agree with those of PyTorch."""
    duet()
