"""How time grows with size: the exponent of a power law, and the sizes at which a ratio crosses 1."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED
from pytest_duet.stats.results import Estimate, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "least squares on logarithms"
_FEWEST: Final = 3
"""With fewer sizes, a line has no residuals to judge its fit by."""


def exponent(sizes: Sequence[float], times: Sequence[float], confidence: float = PRINTED) -> Estimate:
    """Return b of time = a·size^b, by least squares on logarithms, with Student's t interval of the slope.

    The model is a straight line: where small sizes take as long as the call itself, the line bends and the interval is
    wide. With two sizes there is a value and no interval.

    Source: Draper and Smith, Applied Regression Analysis, section 1.4 (interval of a slope).
    """
    if len(sizes) < 2 or min(*sizes, *times) <= 0 or len(set(sizes)) < len(sizes):  # noqa: PLR2004 - a line has two points
        return Estimate(NAME, None, confidence=confidence, note="needs two sizes and positive times")
    x, y = ([math.log(value) for value in values] for values in (sizes, times))
    count, (slope, start) = len(x), statistics.linear_regression(x, y)
    if count < _FEWEST:
        return Estimate(NAME, slope, confidence=confidence, note="two sizes leave no interval")
    left = math.fsum((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    spread = statistics.variance(x) * (count - 1)
    half = t_quantile(count - 2, (1 + confidence) / 2) * math.sqrt(left / (count - 2) / spread)
    return Estimate(NAME, slope, slope - half, slope + half, confidence)


@dataclass(frozen=True, slots=True)
class Ratio:
    """The time of a member over that of another at one size, with its interval."""

    size: float
    value: float
    low: float
    high: float

    @property
    def side(self) -> int:
        """The side of 1 on which the whole interval lies: −1, 1, or 0 for neither."""
        return (self.low > 1) - (self.high < 1)


@dataclass(frozen=True, slots=True)
class Crossover:
    """The ratio crosses 1 between the sizes `low` and `high`, by interpolation at `size`."""

    low: float
    high: float
    size: float
    upwards: bool


def crossovers(ratios: Sequence[Ratio]) -> list[Crossover]:
    """Return where ratios pass from one side of 1 to the other; ratios whose interval holds 1 count for neither side.

    `ratios` are in ascending order of size. The crossing is interpolated linearly on logarithms.
    """
    sure = [ratio for ratio in ratios if ratio.side]
    found = []
    for before, after in itertools.pairwise(sure):
        if before.side == after.side:
            continue
        share = math.log(before.value) / (math.log(before.value) - math.log(after.value))
        at = math.exp(math.log(before.size) + share * math.log(after.size / before.size))
        found.append(Crossover(before.size, after.size, at, upwards=after.side > 0))
    return found
