"""What an invariance of an algorithm is, for the rooms that state theirs in ``invariance.py``.

Not for checking them: a contract test does, with every member of every room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Arrays = Mapping[str, np.ndarray]
Expect = Callable[[Arrays], Arrays]
"""Takes what came of the data as they are, returns what must come of the changed ones; outputs left out are not compared."""


@dataclass(frozen=True)
class Invariance:
    """A change of the data whose consequence is known.

    `change` takes arrays and a random generator, and returns the arrays it replaces with what to expect. Floats are compared
    relative to the largest, up to `tolerance`; whole numbers are labels, compared up to their names, of which a share of
    `relabelled` may differ. It is checked on `workload`, the first of each algorithm where none is named.
    """

    algorithms: tuple[str, ...]
    change: Callable[[Arrays, np.random.Generator], tuple[Arrays, Expect]]
    tolerance: float = 1e-7
    relabelled: float = 0.0
    workload: str = field(default="", kw_only=True)
    why: str = field(default="", kw_only=True)


def same(outputs: Arrays) -> Arrays:
    """Expect what came of the data as they are."""
    return outputs
