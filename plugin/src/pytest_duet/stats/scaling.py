"""How time grows with size: the exponent of a power law over several sizes, and where two laws cross.

Not for measuring times, and not for extrapolating them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED
from pytest_duet.stats.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "least squares on logarithms"
_FEWEST: Final = 3
"""Sizes below which a line leaves nothing over to tell how well it fits."""


def exponent(sizes: Sequence[float], times: Sequence[float], confidence: float = PRINTED) -> Estimate:
    """Return b of time = a·size^b, by least squares on logarithms, with Student's t interval of the slope.

    The interval is about a straight line: where small sizes cost what calling costs, the line is bent and the interval
    wide. With two sizes there is a value and no interval.

    Source: Draper and Smith, Applied Regression Analysis, section 1.4 (interval of a slope).
    """
    if len(sizes) < 2 or min(*sizes, *times) <= 0 or len(set(sizes)) < len(sizes):  # noqa: PLR2004 - a line has two points
        return Estimate(NAME, None, confidence=confidence, note="needs two sizes and positive times")
    x, y = ([math.log(value) for value in values] for values in (sizes, times))
    count, mean_x, mean_y = len(x), sum(x) / len(x), sum(y) / len(y)
    spread = sum((each - mean_x) ** 2 for each in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    if count < _FEWEST:
        return Estimate(NAME, slope, confidence=confidence, note="two sizes leave no interval")
    from scipy.stats import t

    left = sum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    half = float(t.ppf((1 + confidence) / 2, count - 2)) * math.sqrt(left / (count - 2) / spread)
    return Estimate(NAME, slope, slope - half, slope + half, confidence)


@dataclass(frozen=True, slots=True)
class Ratio:
    """Time of a member over that of another at one size, with its interval."""

    size: float
    value: float
    low: float
    high: float

    @property
    def side(self) -> int:
        """Which side of 1 the whole interval lies on: −1, 1, or 0 for neither."""
        return (self.low > 1) - (self.high < 1)


@dataclass(frozen=True, slots=True)
class Crossover:
    """Between the sizes `low` and `high` the ratio crosses 1, on a straight line at `size`; upwards or not."""

    low: float
    high: float
    size: float
    upwards: bool


def crossovers(ratios: Sequence[Ratio]) -> list[Crossover]:
    """Return where ratios go from wholly one side of 1 to wholly the other; sizes that tell neither lie between.

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
