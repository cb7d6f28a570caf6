"""The policy of a gate: derive the decision on each case, and the exit status, from how the cases changed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_duet import units
from pytest_duet.analysis.verdict import lean
from pytest_duet.defaults import ALPHA, ENOUGH_CELLS
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
    """The decision on one case, and its reason."""

    change: Change
    decision: Decision
    why: str


def side(status: Status | None) -> Side:
    """Return what a gate sees of a case with `status`; None stands for a case that does not exist."""
    return "missing" if status is None else STATUSES[status].side


def alarms(p_values: Sequence[float | None]) -> tuple[list[bool], Adjusted]:
    """Return for each p of one gate job whether it alarms at level `ALPHA` by Holm, and the adjusted p-values."""
    adjusted = adjust(p_values, "holm")
    return [p is not None and p < ALPHA for p in adjusted.values], adjusted


def decide(change: Change, allowed_missing: Collection[str] = ()) -> Decided:
    """Return the decision on one case; `allowed_missing` are patterns of cases that may be missing.

    An invalid result is invalid, whatever its baseline. The gate cannot decide on a case that is missing, on one whose
    baseline was never valid, and on a comparison that would have overlooked a change above its margin.
    """
    if change.head == "bad":
        return Decided(change, "invalid", change.reason)
    if change.head == "missing":
        return _gone(change, allowed_missing)
    if change.base == "missing":
        return Decided(change, "passed", change.reason or "new: nothing to compare with")
    if change.base == "bad":
        return Decided(change, "cannot decide", change.reason or "its baseline is not valid")
    return _by_change(change)


def _gone(change: Change, allowed: Collection[str]) -> Decided:
    if change.base == "missing":
        return Decided(change, "passed", change.reason or "on neither side")
    why = change.reason or "it did not take part in this run"
    if matches(allowed, change.case):
        return Decided(change, "passed", f"{why}; allowed to be missing")
    return Decided(change, "cannot decide", f"missing: {why}")


def _by_change(change: Change) -> Decided:
    """Without an alarm, a case passes only if a change above its margin would have been seen."""
    surely, seen = f"surely slower by more than {units.percent(change.alarm_above)}", change.smallest_change
    if change.alarm and not change.confirmed:
        return Decided(change, "cannot decide", f"{surely}, in one run; measure once more to confirm or clear it")
    if change.alarm:
        return Decided(change, "regression", surely)
    if change.verdict in {"faster", "equivalent"}:
        return Decided(change, "passed", change.reason)
    if change.verdict == "slower":
        return Decided(change, "cannot decide", "slower, but not beyond doubt over all cases; measure once more")
    if change.verdict == "inconclusive" and seen is not None and seen <= change.margin:
        return Decided(change, "passed", f"no change above {units.percent(seen)}, the least it could see")
    return Decided(change, "cannot decide", change.reason or "nothing to go by")


def confirm(first: Change, second: Change) -> Change:
    """Combine two runs of a case that alarmed in the first: the alarm stands only if both runs raise it.

    The run with the smaller ratio counts, so a second run can clear a case and never makes it worse.
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
    """Return the exit status of a gate job: invalid results come before regressions, those before undecided cases.

    A job that compared nothing cannot decide. `decisions` is None where there is no gate. `advisory` forgives undecided
    cases only. `unavailable`: a required framework is missing; `storage_failed`: a result could not be written.
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
    """Return whether any case was compared with earlier measurements."""
    return any(decided.change.units for decided in decisions)


def of_pair(
    case: str, comparison: Comparison, sides: tuple[Status, Status], p: float | None, smallest: float | None
) -> Change:
    """Return the change that a paired comparison of head with base (the reference) shows.

    `sides` are the statuses of base and head; `p` belongs to H0: head is slower by no more than `alarm_above`. The family
    decides on the alarm (`judge_family`); `smallest` is the least relative change to alarm in it, None where none would.
    """
    from pytest_duet.records.schema import Change
    from pytest_duet.values import to_number

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
    """Return `change` with `smallest`, the smallest relative change that would have alarmed, None where none would."""
    import msgspec

    sees = (
        f"the smallest change it could see is {units.percent(smallest)}" if smallest else "it could not see any change"
    )
    reason = f"{change.reason}; {sees}" if change.verdict == "inconclusive" else change.reason
    return msgspec.structs.replace(change, smallest_change=smallest, reason=reason)


def judge_family(changes: Sequence[Change]) -> list[Change]:
    """Return `changes` with p-values adjusted by Holm and their alarms: all cases of a gate job are one family."""
    import msgspec

    from pytest_duet.values import from_number, to_number

    p_values = [None if change.p is None else from_number(change.p) for change in changes]
    alarmed, adjusted = alarms(p_values)
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
