"""What the statistics return: a number and how sure it is, or None and why not.

Not for saved shapes: ``record`` has those.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

REMEDY: Final = "needs statsmodels: pip install 'pytest-duet[stats]'"
"""The note of whatever cannot be computed without the extra."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval, both in the unit of the input; None where undefined, with a `note` that says why."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    confidence: float = PRINTED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test: `n` is the number of independent units (the smaller side where there are two)."""

    name: str
    statistic: float | None
    p: float | None
    n: int
    note: str = ""


def is_constant(values: Sequence[float]) -> bool:
    """Say whether `values` differ by no more than rounding: a spread nothing can be scaled by."""
    if not values:
        return True
    largest = max(abs(value) for value in values)
    return max(values) - min(values) <= 1e-12 * largest


@contextmanager
def quiet() -> Generator[None]:
    """Silence numerical warnings inside: what they warn of shows as a result that is not finite, and is then said."""
    import numpy as np

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
