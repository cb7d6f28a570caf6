"""The typical value of paired differences and its interval, by the Wilcoxon signed-rank test."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from pytest_duet.stats.results import POWER, Estimate, Outcome, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL: Final = 8
"""With fewer units the signed-rank test has too few outcomes for an interval, and Student's t is used."""

_SPREAD: Final = 0.9
_NORMAL: Final = statistics.NormalDist()

Alternative = Literal["two-sided", "greater", "less"]


def walsh_averages(differences: Sequence[float]) -> list[float]:
    """Return the n(n+1)/2 averages of every pair, each unit with itself included, in ascending order.

    Source: Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3rd ed., section 3.2.
    """
    return sorted((a + b) / 2 for i, a in enumerate(differences) for b in differences[i:])


@lru_cache(maxsize=64)
def _cumulative(n: int) -> tuple[int, ...]:
    """Return, for w = 0, 1, …, the number of the 2^n assignments of signs for which W+ is at most w."""
    counts = [1] + [0] * (n * (n + 1) // 2)
    top = 0
    for rank in range(1, n + 1):
        top += rank
        for w in range(top, rank - 1, -1):
            counts[w] += counts[w - rank]
    total = 0
    return tuple(total := total + count for count in counts)


def tail(n: int, w: int) -> float:
    """Return P(W+ ≤ `w`) for `n` units without ties, exactly.

    Source: Hollander, Wolfe & Chicken, section 3.1 (the null distribution by counting sign assignments).
    """
    if w < 0:
        return 0.0
    cumulative = _cumulative(n)
    count: int = cumulative[min(w, len(cumulative) - 1)]
    return count / (1 << n)


def critical(n: int, alpha: float) -> int | None:
    """Return the largest w with P(W+ ≤ w) ≤ `alpha`, or None where even W+ = 0 is more probable."""
    found = bisect_right(_cumulative(n), alpha * (1 << n)) - 1
    return found if found >= 0 else None


def signed_rank(differences: Sequence[float], shift: float = 0.0, alternative: Alternative = "two-sided") -> Outcome:
    """Test that the differences are symmetric about `shift`, exactly, by counting Walsh averages on either side.

    A Walsh average equal to `shift` counts against rejecting, so ties and zeros make the test conservative, never wrong.
    A shift is rejected exactly where it lies outside the interval of `location`.

    Source: Wilcoxon (1945); Tukey's form by Walsh averages in Hollander, Wolfe & Chicken, section 3.1, comment 17.
    """
    n = len(differences)
    if n == 0:
        return Outcome("signed-rank", None, None, 0, "no differences")
    averages = walsh_averages(differences)
    total = len(averages)
    above = total - bisect_right(averages, shift)
    not_below = total - bisect_left(averages, shift)
    greater, less = tail(n, total - above), tail(n, not_below)
    p = {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]
    return Outcome("signed-rank", (above + not_below) / 2, p, n)


def least_shift(differences: Sequence[float], alpha: float) -> float | None:
    """Return how far beyond a limit differences of this spread must lie to exceed it at level `alpha`, nine times in ten.

    It is None where so few units cannot exceed anything at that level. It depends on the spread of the differences, not on
    their location: it is the distance from the estimate to the one-sided bound, plus the standard error of the estimate
    (from the width of the 90 % interval) times the normal quantile of `POWER`.
    """
    cut = critical(len(differences), alpha)
    if cut is None:
        return None
    averages = walsh_averages(differences)
    found = location(differences, _SPREAD)
    assert found.low is not None and found.high is not None  # noqa: PT018 - one fact
    error = (found.high - found.low) / 2 / _NORMAL.inv_cdf((1 + _SPREAD) / 2)
    return statistics.median(averages) - averages[cut] + _NORMAL.inv_cdf(POWER) * error


def student(differences: Sequence[float], confidence: float) -> Estimate:
    """Return the mean with Student's t interval; None bounds where there are fewer than two units.

    Source: Student (1908), The probable error of a mean, Biometrika 6.
    """
    n = len(differences)
    if n == 0:
        return Estimate("mean", None, confidence=confidence, note="no differences")
    mean = math.fsum(differences) / n
    if n == 1:
        return Estimate("mean", mean, confidence=confidence, note="one unit has no interval")
    half = t_quantile(n - 1, (1 + confidence) / 2) * statistics.stdev(differences, mean) / math.sqrt(n)
    return Estimate("mean", mean, mean - half, mean + half, confidence)


def location(differences: Sequence[float], confidence: float) -> Estimate:
    """Return the typical difference and its interval.

    From `SMALL` units on the Hodges-Lehmann estimate, the median of the Walsh averages, with the interval of all shifts that
    the two-sided signed-rank test does not reject; below that the mean with Student's t interval.

    Sources: Hodges & Lehmann (1963), Estimates of location based on rank tests, Ann. Math. Statist. 34; Hollander, Wolfe &
    Chicken, section 3.3 (inversion over the ordered Walsh averages).
    """
    n = len(differences)
    if n < SMALL:
        return student(differences, confidence)
    cut = critical(n, (1 - confidence) / 2)
    averages = walsh_averages(differences)
    value = statistics.median(averages)
    if cut is None:
        note = f"{n} units cannot reach a confidence of {confidence:g}"
        return Estimate("Hodges-Lehmann", value, confidence=confidence, note=note)
    return Estimate("Hodges-Lehmann", value, averages[cut], averages[len(averages) - 1 - cut], confidence)
