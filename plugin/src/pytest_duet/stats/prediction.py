"""Predict the next observation from earlier ones: the statistics of a stored baseline, with one number a run."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_duet.stats.results import POWER, Estimate, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Prediction:
    """The distribution of the next observation: Student's t about `mean`, with `scale` as its standard error."""

    mean: float
    scale: float
    count: int

    def p_above(self, value: float) -> float:
        """Return the probability of an observation of at least `value` if nothing has changed (one-sided)."""
        if self.scale == 0:
            return 0.0 if value > self.mean else 1.0
        from scipy.special import stdtr

        return float(stdtr(self.count - 1, (self.mean - value) / self.scale))

    def excess(self, value: float, confidence: float) -> Estimate:
        """Return how far `value` lies above the mean, with its two-sided interval."""
        half, beyond = self.limit((1 - confidence) / 2), value - self.mean
        return Estimate("excess over the prediction", beyond, beyond - half, beyond + half, confidence)

    def limit(self, alpha: float) -> float:
        """Return the excess that is reached by chance with probability `alpha`."""
        return t_quantile(self.count - 1, 1 - alpha) * self.scale

    def smallest(self, alpha: float) -> float:
        """Return the smallest excess that a test at level `alpha` detects with probability `POWER`."""
        return self.limit(alpha) + statistics.NormalDist().inv_cdf(POWER) * self.scale


def predict(history: Sequence[float]) -> Prediction | None:
    """Return the prediction from `history`, None below two observations.

    Source: Hahn & Meeker, Statistical Intervals, section 4.7 (prediction interval for one future observation of a normal
    population): mean ± t s √(1 + 1/m).
    """
    count = len(history)
    if count < 2:  # noqa: PLR2004 - one observation has no spread
        return None
    mean = math.fsum(history) / count
    return Prediction(mean, statistics.stdev(history, mean) * math.sqrt(1 + 1 / count), count)
