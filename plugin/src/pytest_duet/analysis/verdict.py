"""From an interval and a margin to one of five words, with the reason in plain language.

Not for computing intervals (``stats``) nor for knowing which member is judged (``comparison``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.stats.ratio import exponential

if TYPE_CHECKING:
    from pytest_duet.vocabulary import Verdict

ENOUGH_CELLS: Final = 8
"""From here on the 90 % interval judges."""

FEWEST_CELLS: Final = 4
"""From here on a clear difference is believed, if even the 99 % interval clears the margin."""

Bounds = tuple[float, float]
"""Lower and upper end of an interval of log(time of this / time of the reference)."""

_UNSTORED: Final = 1.4
"""Of a group's seconds, at most this many are spent for each that is stored: warm-up cycles are not."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one member is judged by.

    `cells` is how many independent log-ratios there are, `judged` their 90 % interval, `strict` their 99 % interval
    (asked for below `ENOUGH_CELLS`), `seconds` what the group's timed rounds took, from which a budget is estimated.
    """

    cells: int
    judged: Bounds | None
    strict: Bounds | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """A word and why; `smallest_change` is the least relative change that would have been seen, None if unknown."""

    verdict: Verdict
    reason: str
    smallest_change: float | None


def smallest_change(judged: Bounds, alarm_above: float) -> float:
    """Return the least relative change that an interval of this width shows: (1 + δ0) · exp(2h) - 1."""
    return (1 + alarm_above) * exponential(judged[1] - judged[0]) - 1


def judge(evidence: Evidence, margin: float, alarm_above: float) -> Judgement:
    """Judge one member.

    A difference below `margin` does not matter, and a gate must be sure of more than `alarm_above`; both are relative.

    Source: equivalence by the 90 % interval is two one-sided tests at 5 % (Schuirmann, 1987, J. Pharmacokinet. 15).
    """
    cells, judged, strict, seconds = evidence.cells, evidence.judged, evidence.strict, evidence.seconds
    change = smallest_change(judged, alarm_above) if judged else None
    if cells < FEWEST_CELLS or judged is None or strict is None:
        return Judgement("inconclusive", f"{_cells(cells)} too few to judge: {_budget(cells, seconds)}", change)
    delta = math.log1p(margin)
    if cells < ENOUGH_CELLS:
        side = word(strict, delta)
        if side not in {"faster", "slower"}:
            why = f"{lean(judged, margin)}; below {ENOUGH_CELLS} cells the 99 % interval counts, and there are {cells}"
            return Judgement("inconclusive", f"{why}: {_budget(cells, seconds)}", change)
        return Judgement(side, "", change)
    side = word(judged, delta)
    if side is None:
        sees = units.percent(smallest_change(judged, alarm_above))
        why = f"{lean(judged, margin)}; the smallest change it could see is {sees}"
        return Judgement("inconclusive", why, change)
    return Judgement(side, "", change)


def word(bounds: Bounds, delta: float) -> Verdict | None:
    """Return what an interval of log-ratios says of a difference of `delta`, None where it says nothing."""
    low, high = bounds
    if low > delta:
        return "slower"
    if high < -delta:
        return "faster"
    if -delta < low and high < delta:
        return "equivalent"
    return None


def lean(judged: Bounds, margin: float) -> str:
    """Return which way an interval points that says nothing."""
    limit = units.percent(margin)
    if judged[0] > 0:
        return f"slower, but maybe by less than the margin of {limit}"
    if judged[1] < 0:
        return f"faster, but maybe by less than the margin of {limit}"
    return f"no difference seen, but one beyond the margin of {limit} is not ruled out"


def _cells(cells: int) -> str:
    return f"{cells} cell is" if cells == 1 else f"{cells} cells are"


def _budget(cells: int, seconds: float) -> str:
    if cells < 1 or seconds <= 0:
        return f"raise group_seconds until there are {ENOUGH_CELLS}"
    needed = math.ceil(_UNSTORED * seconds * ENOUGH_CELLS / cells)
    return f"group_seconds = {needed} in the profile should give {ENOUGH_CELLS}"
