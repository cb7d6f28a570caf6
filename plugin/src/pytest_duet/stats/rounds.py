"""Describe single rounds, which are not independent: their autocorrelation, and tests that ignore it.

Nothing is decided by them; the units of every other statistic are cells.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.classical_tests import mann_whitney, welch_t
from pytest_duet.stats.results import is_constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.stats.results import Outcome

_FEWEST: Final = 3


@dataclass(frozen=True, slots=True)
class PerRound:
    """Statistics of single rounds: autocorrelation, effective number, and tests that treat rounds as independent."""

    autocorrelation: tuple[float | None, float | None]
    effective: tuple[float | None, float | None]
    tests: list[Outcome]


def autocorrelation(values: Sequence[float]) -> float | None:
    """Return the lag-1 autocorrelation, None where nothing varies or there are fewer than three values.

    Source: Box & Jenkins, Time Series Analysis, section 2.1.6.
    """
    n = len(values)
    if n < _FEWEST or is_constant(values):
        return None
    mean = math.fsum(values) / n
    total = math.fsum((value - mean) ** 2 for value in values)
    return math.fsum((a - mean) * (b - mean) for a, b in itertools.pairwise(values)) / total


def effective_count(values: Sequence[float]) -> float | None:
    """Return the effective number of independent values in a first-order autoregression: n (1 - r) / (1 + r).

    Source: Bayley & Hammersley (1946), J. R. Statist. Soc. Suppl. 8. Never above n.
    """
    r = autocorrelation(values)
    if r is None:
        return None
    r = max(0.0, min(r, 1 - 1 / len(values)))
    return len(values) * (1 - r) / (1 + r)


def per_round(this: Sequence[float], reference: Sequence[float]) -> PerRound:
    """Return the statistics of the log times of single rounds of both sides, in the order in which they ran."""
    return PerRound(
        (autocorrelation(this), autocorrelation(reference)),
        (effective_count(this), effective_count(reference)),
        [welch_t(this, reference), mann_whitney(this, reference)],
    )
