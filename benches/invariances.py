"""The definition of an invariance, for the tasks that declare theirs in ``invariance.py``.

A contract test checks every invariance with every member of every task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Arrays = Mapping[str, np.ndarray]
Expect = Callable[[Arrays], Arrays]
"""Takes the outputs for the original data and returns the expected ones for the changed data; missing ones are not compared."""


@dataclass(frozen=True)
class Invariance:
    """A change of the data whose effect on the outputs is known.

    `change` takes arrays and a random generator, and returns the arrays it replaces and the expectation. Floats may differ by
    `tolerance` relative to the largest. Integers are labels, compared up to renaming; a fraction of `relabelled` may differ. The
    check runs on `workload`, by default the first one of each algorithm.
    """

    algorithms: tuple[str, ...]
    change: Callable[[Arrays, np.random.Generator], tuple[Arrays, Expect]]
    tolerance: float = 1e-7
    relabelled: float = 0.0
    workload: str = field(default="", kw_only=True)
    why: str = field(default="", kw_only=True)


def same(outputs: Arrays) -> Arrays:
    """Expect the same outputs as for the original data."""
    return outputs
