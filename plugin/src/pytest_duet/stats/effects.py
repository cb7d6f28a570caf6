"""Effect sizes of two samples, with intervals: how well the samples are separated, not how much that matters.

They are never called "large" or "small": on a quiet machine every effect is large.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from pytest_duet.defaults import PRINTED
from pytest_duet.stats.results import Estimate, is_constant

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST = 2


def _z(confidence: float) -> float:
    return statistics.NormalDist().inv_cdf((1 + confidence) / 2)


def hedges_g(this: Sequence[float], reference: Sequence[float], confidence: float = PRINTED) -> Estimate:
    """Return the difference of means in pooled standard deviations, corrected for small samples.

    Positive where `this` is the larger. Undefined for fewer than two units a side or where nothing varies.

    Source: Hedges (1981), J. Educ. Statist. 6 (exact correction by gamma functions); interval by the large-sample
    variance of Hedges & Olkin (1985), Statistical Methods for Meta-Analysis, chapter 5.
    """
    name = "Hedges' g"
    m, n = len(this), len(reference)
    if m < _FEWEST or n < _FEWEST:
        return Estimate(name, None, confidence=confidence, note="needs two units a side")
    freedom = m + n - 2
    if is_constant(this) and is_constant(reference):
        return Estimate(name, None, confidence=confidence, note="nothing varies")
    pooled = math.sqrt(((m - 1) * statistics.variance(this) + (n - 1) * statistics.variance(reference)) / freedom)
    correction = math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)
    g = correction * (statistics.fmean(this) - statistics.fmean(reference)) / pooled
    half = _z(confidence) * math.sqrt((m + n) / (m * n) + g * g / (2 * (m + n)))
    return Estimate(name, g, g - half, g + half, confidence)


def cliffs_delta(this: Sequence[float], reference: Sequence[float], confidence: float = PRINTED) -> Estimate:
    """Return P(this > reference) - P(this < reference) over all pairs, between -1 and 1.

    Undefined for an empty side; no interval below two units a side.

    Source: Cliff (1993), Psychol. Bull. 114; asymmetric interval of Feng & Cliff (2004), J. Mod. Appl. Stat. Meth. 3,
    with their bound (n - z²) / (n + z²), n the smaller side, where every pair points one way.
    """
    name = "Cliff's delta"
    m, n = len(this), len(reference)
    if not m or not n:
        return Estimate(name, None, confidence=confidence, note="a side is empty")
    import numpy as np

    signs = np.sign(np.subtract.outer(np.asarray(this, float), np.asarray(reference, float)))
    delta = float(signs.mean())
    if m < _FEWEST or n < _FEWEST:
        return Estimate(name, delta, confidence=confidence, note="one unit has no interval")
    square = _z(confidence) ** 2
    if abs(delta) == 1:
        bound = (min(m, n) - square) / (min(m, n) + square)
        low, high = sorted((delta, math.copysign(1, delta) * bound))
        return Estimate(name, delta, low, high, confidence)
    rows, columns, pairs = (
        float(((values - delta) ** 2).sum()) for values in (signs.mean(axis=1), signs.mean(axis=0), signs)
    )
    least = (1 - delta**2) / (m * n - 1)
    variance = max(least, (n**2 * rows + m**2 * columns - pairs) / (m * n * (m - 1) * (n - 1)))
    middle = delta - delta**3
    half = math.sqrt(variance * square * ((1 - delta**2) ** 2 + square * variance))
    scale = 1 - delta**2 + square * variance
    return Estimate(name, delta, max(-1.0, (middle - half) / scale), min(1.0, (middle + half) / scale), confidence)
