"""Combine runs of one machine: the mean over runs, the spread between them, and a prediction for one more run."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED
from pytest_duet.stats.results import REMEDY, Estimate, quiet, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST_RUNS: Final = 5
"""With fewer runs the spread between runs is known too poorly to generalise."""

_MEAN: Final = "random-effects mean"
_NEXT: Final = "prediction of one more run"
_SMALLEST_VARIANCE: Final = 1e-18
"""A lower bound for the variance of a run, so that an interval without width does not give an infinite weight."""


@dataclass(frozen=True, slots=True)
class Across:
    """Several runs combined, in log-ratios.

    `mean` has Hartung and Knapp's interval, `following` is the prediction for one more run. `spread` is the standard
    deviation between runs (τ), None where undefined.
    """

    mean: Estimate
    following: Estimate
    spread: float | None
    runs: int


def standard_error(low: float, high: float, confidence: float) -> float:
    """Return the standard error that corresponds to an interval, by the normal distribution."""
    return (high - low) / (2 * statistics.NormalDist().inv_cdf((1 + confidence) / 2))


def combine_runs(estimates: Sequence[float], errors: Sequence[float], confidence: float = PRINTED) -> Across:
    """Combine runs, each with its estimate of a log-ratio and its standard error.

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

    values = np.asarray(estimates, dtype=float)
    variances = np.maximum(np.square(np.asarray(errors, dtype=float)), _SMALLEST_VARIANCE)
    with quiet():
        found = combine_effects(values, variances, method_re="iterated", use_t=True)
        between = max(0.0, float(found.tau2))
        weights = 1 / (variances + between)
        mean = float(np.average(values, weights=weights))
        error = math.sqrt(float(np.average((values - mean) ** 2, weights=weights)) / (runs - 1))
    quantile = t_quantile(runs - 1, (1 + confidence) / 2)
    half, wide = quantile * error, quantile * math.sqrt(between + error**2)
    return Across(
        Estimate(_MEAN, mean, mean - half, mean + half, confidence),
        Estimate(_NEXT, mean, mean - wide, mean + wide, confidence),
        math.sqrt(between),
        runs,
    )


def _none(runs: int, confidence: float, note: str) -> Across:
    mean, following = (Estimate(name, None, confidence=confidence, note=note) for name in (_MEAN, _NEXT))
    return Across(mean, following, None, runs)
