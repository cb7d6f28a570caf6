"""The workloads of the calibration: work of a known amount, so that its changes are known too.

Each does `n` units of work and `more` units besides, and returns what depends on `n` alone: both sides of a comparison give the
same answer however much more one of them works.
"""

from __future__ import annotations

import numpy as np

_MATRIX = np.random.default_rng(0).standard_normal((48, 48))
_NUMBERS = np.random.default_rng(0).standard_normal(20_000)
_WORDS = [str(number * 7919 % 10_007) for number in range(200)]


def integers(n: int, more: int) -> int:
    """Step a generator, a hundred steps a unit: the interpreter's own arithmetic."""
    for _ in range(n + more):
        # From the 257th on a count is an object of its own, so one longer loop would cost more than in proportion.
        state = 1
        for _ in range(100):
            state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return n


def products(n: int, more: int) -> int:
    """Multiply small matrices: a processor's vectors."""
    for _ in range(n + more):
        _MATRIX @ _MATRIX
    return n


def memory(n: int, more: int) -> int:
    """Copy and sum what does not fit the nearest cache."""
    for _ in range(n + more):
        _NUMBERS.copy().sum()
    return n


def objects(n: int, more: int) -> int:
    """Fill and sort dictionaries of texts: allocation, hashing, branches."""
    for _ in range(n + more):
        sorted({word: len(word) for word in _WORDS})
    return n
