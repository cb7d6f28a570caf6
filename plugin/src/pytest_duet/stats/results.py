"""The results of statistics: a number with its uncertainty, or None with the reason."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

POWER: Final = 0.9
"""The probability that the smallest change which is called visible raises an alarm."""

REMEDY: Final = "needs statsmodels: pip install 'pytest-duet[stats]'"
"""The note of a result that needs the extra ``stats``."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its interval in the unit of the input; None where undefined, with the reason in `note`."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    confidence: float = PRINTED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a test; `n` is the number of independent units, of two sides the smaller one."""

    name: str
    statistic: float | None
    p: float | None
    n: int
    note: str = ""


def t_quantile(freedom: int, probability: float) -> float:
    """Return the quantile of Student's t distribution with `freedom` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def is_constant(values: Sequence[float]) -> bool:
    """Return whether `values` differ by no more than rounding errors, so that nothing can be divided by their spread."""
    return not values or max(values) - min(values) <= 1e-12 * max(map(abs, values))


@contextmanager
def quiet() -> Generator[None]:
    """Silence numerical warnings inside: the results are checked for values that are not finite."""
    import numpy as np

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
