"""What one more observation may be, going by those before it: the statistics of a stored baseline.

Not for paired comparisons (``signed_rank``): here there is one number a run, and runs are the units.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

POWER: Final = 0.9
"""How likely a change of the smallest size that counts as visible is to be seen."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Where the next observation should lie: about `mean`, `scale` being the standard error of predicting one, by t."""

    mean: float
    scale: float
    count: int

    @property
    def freedom(self) -> int:
        """The degrees of freedom of its t distribution."""
        return self.count - 1

    def p_above(self, value: float) -> float:
        """Return how likely an observation of at least `value` is if nothing has changed (one-sided)."""
        if self.scale == 0:
            return 0.0 if value > self.mean else 1.0
        from scipy.special import stdtr

        return float(stdtr(self.freedom, (self.mean - value) / self.scale))

    def excess(self, value: float, confidence: float) -> Estimate:
        """Return how far `value` lies above what was expected, with its two-sided interval."""
        half = self.quantile((1 + confidence) / 2) * self.scale
        beyond = value - self.mean
        return Estimate("excess over the prediction", beyond, beyond - half, beyond + half, confidence)

    def limit(self, alpha: float) -> float:
        """Return the excess that chance reaches with probability `alpha`."""
        return self.quantile(1 - alpha) * self.scale

    def smallest(self, alpha: float, power: float = POWER) -> float:
        """Return the least excess that is seen with probability `power` by a test at level `alpha`."""
        return self.limit(alpha) + statistics.NormalDist().inv_cdf(power) * self.scale

    def quantile(self, probability: float) -> float:
        """Return the quantile of t."""
        from scipy.special import stdtrit

        return float(stdtrit(self.freedom, probability))


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
