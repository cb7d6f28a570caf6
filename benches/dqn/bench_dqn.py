"""Deep Q-learning as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_dqn(duet):
    """Time the world, the updates or whole runs in one framework, after they agreed with PyTorch."""
    duet()
