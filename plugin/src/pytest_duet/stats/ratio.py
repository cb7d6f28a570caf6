"""Times and ratios of times from nested rounds: one logarithm a cell, and the ratio of means."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.results import Estimate, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    Cell = Sequence[Sequence[float]]
    Cells = Sequence[Cell]

_LARGEST_EXPONENT: Final = 700.0


def exponential(log_value: float) -> float:
    """Return exp(`log_value`), bounded so that the end of a very wide interval stays a number JSON can hold."""
    return math.exp(max(-_LARGEST_EXPONENT, min(_LARGEST_EXPONENT, log_value)))


def log_time(burst: Sequence[float], calls: int) -> float:
    """Return the log of the burst's fastest round, per call.

    Interference adds least to the minimum (Chen & Revels, 2016, Robust benchmarking in noisy environments).
    """
    return math.log(min(burst)) - math.log(calls)


def cell_log_times(cells: Cells, calls: int) -> list[float]:
    """Return one number a cell: the median over its cycles of the log time of a call.

    `cells` is cells → cycles → rounds in any one unit, all positive; a round is `calls` calls.
    """
    return [statistics.median(log_time(burst, calls) for burst in cell) for cell in cells]


def cell_log_ratios(this: Cells, calls: int, reference: Cells, reference_calls: int) -> list[float]:
    """Return one number a cell: the median over its cycles of log(this / reference), fastest round of each burst.

    The members of a cycle ran next to each other, so interference affects both and cancels.

    Raises:
        ValueError: the two do not have the same cells and cycles.

    Source: paired design of Kalibera & Jones (2013), Rigorous benchmarking in reasonable time, section 5, on cycles.
    """
    return [
        statistics.median(log_time(b, calls) - log_time(a, reference_calls) for b, a in zip(cell, other, strict=True))
        for cell, other in zip(this, reference, strict=True)
    ]


def cell_means(cells: Cells, calls: int) -> list[float]:
    """Return one number a cell: the mean time of a call over all its rounds."""
    return [statistics.fmean([total for burst in cell for total in burst]) / calls for cell in cells]


def ratio_of_means(this: Sequence[float], reference: Sequence[float], confidence: float) -> Estimate:
    """Return mean(this) / mean(reference) with Fieller's interval for paired units of equal number.

    The bounds are None where the reference's mean is not surely above zero: the plausible ratios are then unbounded.

    Source: Fieller (1954), Some problems in interval estimation, J. R. Statist. Soc. B 16, as used for benchmarks by
    Kalibera & Jones (2013), section 7; with the covariance, since cells are paired.
    """
    n = len(this)
    if n == 0:
        return Estimate("ratio of means", None, confidence=confidence, note="no cells")
    y = statistics.fmean(reference)
    if y == 0:
        return Estimate("ratio of means", None, confidence=confidence, note="the reference's mean is zero")
    ratio = statistics.fmean(this) / y
    if n == 1:
        return Estimate("ratio of means", ratio, confidence=confidence, note="one cell has no interval")
    # Scaling by the mean keeps every term near 1, whatever the unit.
    u, v = [value / y for value in this], [value / y for value in reference]
    share = t_quantile(n - 1, (1 + confidence) / 2) ** 2 / (n * (n - 1))
    xx = share * math.fsum((value - ratio) ** 2 for value in u)
    yy = share * math.fsum((value - 1) ** 2 for value in v)
    xy = share * math.fsum((a - ratio) * (b - 1) for a, b in zip(u, v, strict=True))
    if yy >= 1:
        return Estimate("ratio of means", ratio, confidence=confidence, note="the means are too uncertain to divide")
    root = math.sqrt(max(0.0, (ratio - xy) ** 2 - (ratio**2 - xx) * (1 - yy)))
    low, high = (ratio - xy - root) / (1 - yy), (ratio - xy + root) / (1 - yy)
    return Estimate("ratio of means", ratio, low, high, confidence)
