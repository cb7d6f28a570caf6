"""What several runs say together: the mean over runs, how far runs differ, and what one more run may show.

Not for units within a run (``signed_rank``). Runs of different machines are never put together; whoever calls sees to it.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED
from pytest_duet.stats.results import REMEDY, Estimate, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST_RUNS: Final = 5
"""Runs below which the spread between runs is not known well enough to say anything beyond this machine, this run."""

_MEAN: Final = "random-effects mean"
_NEXT: Final = "prediction of one more run"
_SMALLEST_VARIANCE: Final = 1e-18
"""A run whose interval has no width still is one: below this weights would be infinite."""


@dataclass(frozen=True, slots=True)
class Across:
    """`mean` has Hartung and Knapp's interval, `following` is where one more run should lie; both in log-ratios.

    `spread` is the standard deviation between runs (τ), None where undefined.
    """

    mean: Estimate
    following: Estimate
    spread: float | None
    runs: int


def standard_error(low: float, high: float, confidence: float) -> float:
    """Return the standard error that an interval of this width stands for, by the normal distribution."""
    return (high - low) / (2 * statistics.NormalDist().inv_cdf((1 + confidence) / 2))


def combine_runs(estimates: Sequence[float], errors: Sequence[float], confidence: float = PRINTED) -> Across:
    """Return what runs say together, each with its estimate of a log-ratio and its standard error.

    Sources: Paule & Mandel (1982), J. Res. Natl. Bur. Stand. 87 (the variance between runs, here never below zero);
    Hartung & Knapp (2001), Statist. Med. 20 (the interval of the mean); Higgins, Thompson & Spiegelhalter (2009),
    J. R. Statist. Soc. A 172 (the prediction interval; here with K − 1 degrees of freedom, as the interval of the mean
    has); statsmodels' `combine_effects`.
    """
    runs = len(estimates)
    if runs < FEWEST_RUNS:
        return _none(runs, confidence, f"needs {FEWEST_RUNS} runs of one machine")
    try:
        from statsmodels.stats.meta_analysis import combine_effects
    except ImportError:
        return _none(runs, confidence, REMEDY)
    import numpy as np
    from scipy.special import stdtrit

    variances = np.maximum(np.square(np.asarray(errors, dtype=float)), _SMALLEST_VARIANCE)
    with quiet():
        found = combine_effects(np.asarray(estimates, dtype=float), variances, method_re="iterated", use_t=True)
        between = max(0.0, float(found.tau2))
        mean, error = _weighted(estimates, [float(each) for each in variances], between)
    quantile = float(stdtrit(runs - 1, (1 + confidence) / 2))
    half, wide = quantile * error, quantile * math.sqrt(between + error**2)
    return Across(
        Estimate(_MEAN, mean, mean - half, mean + half, confidence),
        Estimate(_NEXT, mean, mean - wide, mean + wide, confidence),
        math.sqrt(between),
        runs,
    )


def _weighted(estimates: Sequence[float], variances: Sequence[float], between: float) -> tuple[float, float]:
    """Return the weighted mean and Hartung and Knapp's standard error of it."""
    weights = [1 / (variance + between) for variance in variances]
    total = math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, estimates, strict=True)) / total
    scatter = math.fsum(w * (x - mean) ** 2 for w, x in zip(weights, estimates, strict=True)) / (len(estimates) - 1)
    return mean, math.sqrt(scatter / total)


def _none(runs: int, confidence: float, note: str) -> Across:
    return Across(
        Estimate(_MEAN, None, confidence=confidence, note=note),
        Estimate(_NEXT, None, confidence=confidence, note=note),
        None,
        runs,
    )
