"""Derive a verdict and its reason from an interval and a margin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.defaults import ENOUGH_CELLS, FEWEST_CELLS
from pytest_duet.stats.ratio import exponential

if TYPE_CHECKING:
    from pytest_duet.vocabulary import Verdict

Bounds = tuple[float, float]
"""Lower and upper end of an interval of log(time of this / time of the reference)."""

_UNSTORED: Final = 1.4
"""At most this many seconds are spent for each second of stored rounds: the rest is warm-up cycles."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on.

    `cells` is the number of independent log-ratios, `judged` their 90 % interval, `strict` their 99 % interval (used below
    `ENOUGH_CELLS`), and `seconds` the time that the group's rounds took, from which a budget is estimated.
    """

    cells: int
    judged: Bounds | None
    strict: Bounds | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and its reason; `smallest_change` is the smallest relative change it could have shown, None if unknown."""

    verdict: Verdict
    reason: str
    smallest_change: float | None


def smallest_change(judged: Bounds, alarm_above: float) -> float:
    """Return the smallest relative change that an interval of this width can show: (1 + δ0) · exp(2h) - 1."""
    return (1 + alarm_above) * exponential(judged[1] - judged[0]) - 1


def judge(evidence: Evidence, margin: float, alarm_above: float) -> Judgement:
    """Return the verdict on one member.

    A difference below `margin` does not matter, and a gate alarms on a slowdown above `alarm_above`; both are relative.

    Source: equivalence by the 90 % interval is two one-sided tests at 5 % (Schuirmann, 1987, J. Pharmacokinet. 15).
    """
    cells, judged, strict, seconds = evidence.cells, evidence.judged, evidence.strict, evidence.seconds
    change = smallest_change(judged, alarm_above) if judged else None
    if cells < FEWEST_CELLS or judged is None or strict is None or change is None:
        few = f"{units.counted(cells, 'cell')} {'is' if cells == 1 else 'are'} too few to judge"
        return Judgement("inconclusive", f"{few}: {_budget(cells, seconds)}", change)
    enough = cells >= ENOUGH_CELLS
    side = word(judged if enough else strict, math.log1p(margin))
    if side in {"faster", "slower"} or (side and enough):
        return Judgement(side, "", change)
    why = f"below {ENOUGH_CELLS} cells the 99 % interval counts, and there are {cells}: {_budget(cells, seconds)}"
    if enough:
        why = f"the smallest change it could see is {units.percent(change)}"
    return Judgement("inconclusive", f"{lean(judged, margin)}; {why}", change)


def word(bounds: Bounds, delta: float) -> Verdict | None:
    """Return the verdict on a difference of `delta` from an interval of log-ratios, None where it is inconclusive."""
    low, high = bounds
    if low > delta:
        return "slower"
    if high < -delta:
        return "faster"
    if -delta < low and high < delta:
        return "equivalent"
    return None


def lean(judged: Bounds, margin: float) -> str:
    """Describe the direction in which an inconclusive interval points."""
    limit = units.percent(margin)
    if judged[0] > 0 or judged[1] < 0:
        return f"{'slower' if judged[0] > 0 else 'faster'}, but maybe by less than the margin of {limit}"
    return f"no difference seen, but one beyond the margin of {limit} is not ruled out"


def _budget(cells: int, seconds: float) -> str:
    if cells < 1 or seconds <= 0:
        return f"raise group_seconds until there are {ENOUGH_CELLS}"
    needed = math.ceil(_UNSTORED * seconds * ENOUGH_CELLS / cells)
    return f"group_seconds = {needed} in the profile should give {ENOUGH_CELLS}"
