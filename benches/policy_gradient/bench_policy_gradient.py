"""Policy gradients as pytest benchmarks; ``task.toml`` beside this file defines every case."""

from pytest_duet import cases


@cases(__file__)
def bench_policy_gradient(duet):
    """Time whole runs in one framework after their outputs agree with those of PyTorch."""
    duet()
