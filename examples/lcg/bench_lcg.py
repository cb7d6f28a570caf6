"""Compare a Python function with a Rust one: a complete example of a pair."""

import pytest

from pytest_duet import compare, worker


def python_lcg(n):
    """Return the state of a linear congruential generator after `n` steps from the seed 1."""
    state = 1
    for _ in range(n):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return state


rust = worker(
    "target/release/lcg",
    name="rust",
    source="examples/lcg/worker",
    build="cargo build --release --locked --manifest-path rust_crates/Cargo.toml -p lcg",
)


@compare(python_lcg, rust)
@pytest.mark.parametrize("n", [100, 20_000])
def bench_lcg(duet, n):
    """Time both functions after their results agree; the first one is the reference."""
    duet(n)
