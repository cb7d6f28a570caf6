"""How the time of one member grows with the size of its data: a power law, and where it crosses the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_duet.stats.scaling import crossovers, exponent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_duet.stats.results import Estimate
    from pytest_duet.stats.scaling import Crossover, Ratio


@dataclass(frozen=True, slots=True)
class Growth:
    """The growth of one member: time = a·size^`exponent`, fitted over all sizes.

    `last_exponent` is that between the two largest sizes, which the fixed cost of a call bends less; None where there are
    fewer than two. `ratios` are time of the member over time of the reference, at each size that has both.
    """

    times_ns: Mapping[float, float]
    ratios: Sequence[Ratio]
    exponent: Estimate
    last_exponent: float | None
    crossovers: Sequence[Crossover]


def fit_growth(times_ns: Mapping[float, float], ratios: Sequence[Ratio]) -> Growth:
    """Return the growth of a member from its time at each size and its ratios, both in ascending order of size."""
    sizes, times = list(times_ns), list(times_ns.values())
    last = exponent(sizes[-2:], times[-2:]).value
    return Growth(times_ns, ratios, exponent(sizes, times), last, crossovers(ratios))
