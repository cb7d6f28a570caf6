"""The classical tests of two paired samples; where a test is undefined, its note says why.

No verdict depends on them: a verdict follows from an interval and a margin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.results import REMEDY, Outcome, is_constant, quiet
from pytest_duet.stats.signed_rank import signed_rank

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Test = Callable[..., tuple[float, float]]

_FEWEST_TO_TEST: Final = 2


def _run(name: str, test: Test, *samples: Sequence[float], fewest: int = _FEWEST_TO_TEST, constant: bool) -> Outcome:
    """Return the statistic and the p-value of `test` on `samples`, or a note why they are undefined."""
    n = min(map(len, samples))
    if n < fewest or constant:
        return Outcome(name, None, None, n, f"needs {fewest} units" if n < fewest else "nothing varies")
    try:
        with quiet():
            statistic, p = map(float, test(*samples))
    except ImportError:
        return Outcome(name, None, None, n, REMEDY)
    if not math.isfinite(p):
        return Outcome(name, None, None, n, "undefined for these samples")
    return Outcome(name, statistic if math.isfinite(statistic) else None, p, n)


def _scipy(name: str, **options: object) -> Test:
    """Return a test of `scipy.stats`, which is imported only when the test runs."""

    def test(*samples: Sequence[float]) -> tuple[float, float]:
        from scipy import stats

        statistic, p = getattr(stats, name)(*samples, **options)
        return statistic, p

    return test


def shapiro_wilk(differences: Sequence[float]) -> Outcome:
    """Test normality of the differences. Source: Shapiro & Wilk (1965), Biometrika 52; `scipy.stats.shapiro`."""
    return _run("Shapiro-Wilk", _scipy("shapiro"), differences, fewest=3, constant=is_constant(differences))


def anderson_darling(differences: Sequence[float]) -> Outcome:
    """Test normality of the differences with weight on the tails.

    Source: Anderson & Darling (1954), J. Am. Statist. Assoc. 49; p by D'Agostino & Stephens (1986), chapter 4;
    `statsmodels.stats.diagnostic.normal_ad`.
    """

    def test(values: Sequence[float]) -> tuple[float, float]:
        import numpy as np
        from statsmodels.stats.diagnostic import normal_ad

        statistic, p = normal_ad(np.asarray(values, dtype=float))
        return statistic, p

    return _run("Anderson-Darling", test, differences, fewest=8, constant=is_constant(differences))


def paired_t(differences: Sequence[float]) -> Outcome:
    """Test that the mean difference is zero. Source: Student (1908), Biometrika 6; `scipy.stats.ttest_1samp`."""
    return _run("paired t", _scipy("ttest_1samp", popmean=0.0), differences, constant=is_constant(differences))


def welch_t(this: Sequence[float], reference: Sequence[float]) -> Outcome:
    """Test equal means, ignoring the pairing. Source: Welch (1947), Biometrika 34; `scipy.stats.ttest_ind`."""
    constant = is_constant(this) and is_constant(reference)
    return _run("Welch t", _scipy("ttest_ind", equal_var=False), this, reference, constant=constant)


def mann_whitney(this: Sequence[float], reference: Sequence[float]) -> Outcome:
    """Test that neither side tends to be larger, for equal shapes, ignoring the pairing.

    Source: Mann & Whitney (1947), Ann. Math. Statist. 18; `scipy.stats.mannwhitneyu`.
    """
    test, constant = _scipy("mannwhitneyu", alternative="two-sided"), is_constant([*this, *reference])
    return _run("Mann-Whitney", test, this, reference, fewest=1, constant=constant)


def brunner_munzel(this: Sequence[float], reference: Sequence[float]) -> Outcome:
    """Test that neither side tends to be larger, for any shapes, ignoring the pairing.

    Source: Brunner & Munzel (2000), Biom. J. 42; `scipy.stats.brunnermunzel`.
    """
    name, n = "Brunner-Munzel", min(len(this), len(reference))
    if n >= _FEWEST_TO_TEST and (max(this) < min(reference) or max(reference) < min(this)):
        return Outcome(name, None, None, n, "the samples do not overlap, so it has no variance to go by")
    return _run(name, _scipy("brunnermunzel"), this, reference, constant=is_constant([*this, *reference]))


def classical_tests(this: Sequence[float], reference: Sequence[float], differences: Sequence[float]) -> list[Outcome]:
    """Run every test on paired samples of equal length.

    `this` and `reference` hold one number a unit, `differences` one number a pair. The paired tests and the tests of
    normality use the differences, the others use both sides.
    """
    return [
        signed_rank(differences),
        paired_t(differences),
        welch_t(this, reference),
        mann_whitney(this, reference),
        brunner_munzel(this, reference),
        shapiro_wilk(differences),
        anderson_darling(differences),
    ]
