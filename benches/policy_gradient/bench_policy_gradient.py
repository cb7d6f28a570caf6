"""Policy gradients as pytest benchmarks: every case comes from ``task.toml`` beside this file."""

from pytest_duet import cases


@cases(__file__)
def bench_policy_gradient(duet):
    """Time whole runs in one framework, after they agreed with PyTorch."""
    duet()
