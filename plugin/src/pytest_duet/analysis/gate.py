"""The policy of a gate: from how cases changed to a decision on each, and to one exit status.

Not for finding out how they changed (``baseline``, ``comparison``), and not for saying so (``report``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_duet import units
from pytest_duet.analysis.verdict import ENOUGH_CELLS, lean
from pytest_duet.defaults import ALPHA
from pytest_duet.exit_status import Exit
from pytest_duet.spec.selectors import matches
from pytest_duet.stats.corrections import Adjusted, adjust
from pytest_duet.vocabulary import STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pytest_duet.records.schema import Change, Comparison
    from pytest_duet.vocabulary import Decision, Side, Status


@dataclass(frozen=True, slots=True)
class Decided:
    """What the gate decides of one case, and why."""

    change: Change
    decision: Decision
    why: str


def side(status: Status | None) -> Side:
    """Return what a case of `status` gives a gate to see; None is a case that is not there."""
    return "missing" if status is None else STATUSES[status].side


def alarms(p_values: Sequence[float | None], alpha: float = ALPHA) -> tuple[list[bool], Adjusted]:
    """Say of each p of one gate job whether it alarms at level `alpha`, by Holm; and the adjusted p-values themselves."""
    adjusted = adjust(p_values, "holm")
    return [p is not None and p < alpha for p in adjusted.values], adjusted


def decide(change: Change, allowed_missing: Collection[str] = ()) -> Decided:
    """Decide of one case; `allowed_missing` are patterns of cases that may be gone.

    What is wrong on this side is invalid, whatever was before. What cannot be seen is said to be unseen: a case that is
    gone or whose baseline was never sound, a comparison that would have overlooked a change above its margin.
    """
    if change.head == "bad":
        return Decided(change, "invalid", change.reason)
    if change.head == "missing":
        return _gone(change, allowed_missing)
    if change.base == "missing":
        return Decided(change, "passed", change.reason or "new: nothing to compare with")
    if change.base == "bad":
        return Decided(change, "cannot decide", change.reason or "its baseline was not sound")
    if change.alarm:
        return _alarmed(change)
    return _quiet(change)


def _gone(change: Change, allowed: Collection[str]) -> Decided:
    if change.base == "missing":
        return Decided(change, "passed", change.reason or "on neither side")
    why = change.reason or "it did not take part in this run"
    if matches(allowed, change.case):
        return Decided(change, "passed", f"{why}; allowed to be missing")
    return Decided(change, "cannot decide", f"missing: {why}")


def _alarmed(change: Change) -> Decided:
    surely = f"surely slower than by {units.percent(change.alarm_above)}"
    if not change.confirmed:
        return Decided(change, "cannot decide", f"{surely}, in one run; measure once more to confirm or clear it")
    return Decided(change, "regression", surely)


def _quiet(change: Change) -> Decided:
    """Decide of a case that raised no alarm: silence only counts where an alarm could have been heard."""
    seen = change.smallest_change
    if change.verdict in {"faster", "equivalent"}:
        return Decided(change, "passed", change.reason)
    if change.verdict == "slower":
        return Decided(change, "cannot decide", "slower, but not beyond doubt over all cases; measure once more")
    if change.verdict == "inconclusive" and seen is not None and seen <= change.margin:
        return Decided(change, "passed", f"no change above {units.percent(seen)}, the least it could see")
    return Decided(change, "cannot decide", change.reason or "nothing to go by")


def confirm(first: Change, second: Change) -> Change:
    """Return what two runs say together of a case that alarmed in the first: it stands only if both alarm.

    Of the two the one with the smaller ratio counts, so a second run can clear a case and never makes it worse.
    """
    if not first.alarm or second.ratio is None or first.ratio is None:
        return first
    return min((second, first), key=lambda each: (each.alarm, each.ratio))


def exit_status(
    decisions: Sequence[Decided] | None,
    *,
    advisory: bool = False,
    unavailable: bool = False,
    storage_failed: bool = False,
) -> Exit:
    """Return the one status of a gate job: what is wrong before what is slower, that before what cannot be seen.

    Where nothing was compared, all being new for instance, nothing was seen. `decisions` are None where no gate was asked
    for. `advisory` forgives what cannot be decided, and nothing else. `unavailable` says that a framework which must be there
    is not, `storage_failed` that a result could not be written.
    """
    found = {decided.decision for decided in decisions or ()}
    if storage_failed:
        return Exit.STORAGE_FAILED
    if "invalid" in found:
        return Exit.INVALID
    if "regression" in found:
        return Exit.REGRESSION
    if not advisory and ("cannot decide" in found or (decisions is not None and not compared(decisions))):
        return Exit.CANNOT_DECIDE
    return Exit.UNAVAILABLE if unavailable else Exit.PASSED


def compared(decisions: Iterable[Decided]) -> bool:
    """Say whether any case was held against anything."""
    return any(decided.change.units for decided in decisions)


def of_pair(
    case: str, comparison: Comparison, sides: tuple[Status, Status], p: float | None, smallest: float | None
) -> Change:
    """Return the change that a paired comparison of head (this) with base (the reference) shows.

    `sides` are the statuses of base and head; `p` is that of H0: head is slower by no more than `alarm_above`. Whether it
    alarms depends on its family: `judge_family` says. `smallest` is the least relative change that would have alarmed there,
    which is more than what the comparison by itself could see; None where nothing would have.
    """
    from pytest_duet.protocol import to_number
    from pytest_duet.records.schema import Change

    reason = comparison.reason
    if comparison.judged and comparison.verdict == "inconclusive" and comparison.cells >= ENOUGH_CELLS:
        bounds = (math.log(comparison.judged.low), math.log(comparison.judged.high))
        reason = lean(bounds, comparison.margin)
    change = Change(
        case=case,
        base=side(sides[0]),
        head=side(sides[1]),
        verdict=comparison.verdict,
        reason=reason,
        units=comparison.cells,
        unit="cells",
        ratio=comparison.ratio,
        interval=comparison.interval,
        judged=comparison.judged,
        p=None if p is None else to_number(p),
        margin=comparison.margin,
        alarm_above=comparison.alarm_above,
    )
    return with_sight(change, smallest)


def with_sight(change: Change, smallest: float | None) -> Change:
    """Return `change` with the least relative change that would have alarmed, None where nothing would have."""
    import msgspec

    reason = change.reason
    if change.verdict == "inconclusive":
        seen = (
            f"the smallest change it could see is {units.percent(smallest)}"
            if smallest
            else "it could not see any change"
        )
        reason = f"{reason}; {seen}"
    return msgspec.structs.replace(change, smallest_change=smallest, reason=reason)


def judge_family(changes: Sequence[Change], alpha: float = ALPHA) -> list[Change]:
    """Return `changes` with Holm's adjusted p and whether each alarms: all of one gate job are one family."""
    import msgspec

    from pytest_duet.protocol import from_number, to_number

    p_values = [None if change.p is None else from_number(change.p) for change in changes]
    alarmed, adjusted = alarms(p_values, alpha)
    return [
        change
        if p is None
        else msgspec.structs.replace(
            change,
            p_adjusted=None if value is None else to_number(value),
            family=adjusted.family,
            alarm=alarm and (change.ratio or 0.0) > 1 + change.alarm_above,
            reason=change.reason if value is not None else f"its p is {p}",
            verdict=change.verdict if value is not None else "not comparable",
        )
        for change, p, value, alarm in zip(changes, p_values, adjusted.values, alarmed, strict=True)
    ]
