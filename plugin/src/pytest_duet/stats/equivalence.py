"""Test whether paired differences are surely small, and find the smallest difference they could have shown.

Verdicts come from intervals, which say the same; these are the statistics that readers know by name.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.classical_tests import paired_t, shapiro_wilk
from pytest_duet.stats.results import Estimate, Outcome, is_constant
from pytest_duet.stats.signed_rank import signed_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST: Final = 2


def tost_t(differences: Sequence[float], delta: float) -> Outcome:
    """Test that the mean lies outside ±`delta`, by two one-sided t tests; a small p means that it lies within.

    Source: Schuirmann (1987), J. Pharmacokinet. Biopharm. 15; as statsmodels' `ttost_paired`.
    """
    n = len(differences)
    name = "TOST (t)"
    if n < _FEWEST:
        return Outcome(name, None, None, n, f"needs {_FEWEST} units")
    mean = math.fsum(differences) / n
    error = statistics.stdev(differences, mean) / math.sqrt(n)
    nearest = delta - abs(mean)
    if is_constant(differences) or error == 0:
        return Outcome(name, None, None, n, "nothing varies")
    from scipy.special import stdtr

    return Outcome(name, nearest / error, float(stdtr(n - 1, -nearest / error)), n)


def tost_signed_rank(differences: Sequence[float], delta: float) -> Outcome:
    """Test that the typical difference lies outside ±`delta`, by two one-sided signed-rank tests.

    Source: the same principle (Berger & Hsu, 1996, Statist. Sci. 11: intersection-union), with the exact signed-rank test.
    """
    above = signed_rank(differences, -delta, "greater")
    below = signed_rank(differences, delta, "less")
    worse = max((above, below), key=lambda outcome: 1.0 if outcome.p is None else outcome.p)
    return Outcome("TOST (signed-rank)", worse.statistic, worse.p, worse.n, worse.note)


def smallest_detectable(differences: Sequence[float], alpha: float = 0.05, power: float = 0.8) -> Estimate:
    """Return the smallest mean difference that a two-sided paired t test at `alpha` detects with probability `power`.

    Source: Cohen (1988), Statistical Power Analysis, chapter 2, solved with the noncentral t distribution.
    """
    name = "minimum detectable effect"
    n = len(differences)
    if n < _FEWEST or is_constant(differences):
        note = f"needs {_FEWEST} units" if n < _FEWEST else "nothing varies"
        return Estimate(name, None, confidence=1 - alpha, note=note)
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    critical = float(t.isf(alpha / 2, n - 1))

    def lack(effect: float) -> float:
        shifted = nct(n - 1, effect * math.sqrt(n))
        wrong_side = float(shifted.cdf(-critical))
        # Far out scipy returns NaN for a probability near zero.
        return float(shifted.sf(critical)) + (0.0 if math.isnan(wrong_side) else wrong_side) - power

    root = float(brentq(lack, 0.0, (critical + 10) / math.sqrt(n)))
    return Estimate(name, root * statistics.stdev(differences), confidence=1 - alpha)


def by_normality(differences: Sequence[float]) -> Outcome:
    """Return the paired t and the signed-rank test as one: the note holds both p-values, and the larger one counts.

    Choosing between them by a test of normality on the same data would make either p too small; taking the larger one does
    not. Source: Rochon, Gondan & Kieser (2012), BMC Med. Res. Methodol. 12, on what preliminary tests do.
    """
    normality, t, ranks = shapiro_wilk(differences), paired_t(differences), signed_rank(differences)
    n = len(differences)
    note = "; ".join(
        f"{each.name} p {'unknown' if each.p is None else f'= {each.p:.2g}'}" for each in (normality, t, ranks)
    )
    if t.p is None or ranks.p is None:
        return Outcome("normality policy", None, None, n, f"{note}: undefined")
    return Outcome("normality policy", None, max(t.p, ranks.p), n, f"{note}: the larger decides")
