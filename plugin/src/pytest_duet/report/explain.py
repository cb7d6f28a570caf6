"""How a verdict or a decision of the gate was made: everything it rests on, a line each, in the order it was used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet import units
from pytest_duet.defaults import ENOUGH_CELLS
from pytest_duet.report.changes import changed
from pytest_duet.report.escape import for_line
from pytest_duet.report.model import build
from pytest_duet.spec.selectors import matches
from pytest_duet.values import from_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.records.schema import Change, Comparison, RunRecord
    from pytest_duet.report.model import Row


def of_run(run: RunRecord, pattern: str) -> list[str]:
    """Return how the verdict on each case of `run` that `pattern` matches was made; empty where none matches."""
    lines: list[str] = []
    for row in build(run).rows():
        case = row.group.case_id(row.member.name)
        if matches(pattern, case):
            lines += [for_line(case), *(f"  {for_line(line)}" for line in _member(row)), ""]
    return lines


def _member(row: Row) -> Iterator[str]:
    group, role, comparison = row.group, row.member.role, row.comparison
    if comparison is None:
        yield f"no verdict: it is the {role}" if role != "rival" else "no verdict: it was not compared"
        return
    yield f"verdict: {comparison.verdict}{f' ({comparison.reason})' if comparison.reason else ''}"
    yield f"against: {comparison.against or group.reference}"
    if comparison.ratio is None:
        return
    yield f"units: {comparison.cells} cells, mode {group.mode}; one log-ratio each, the median over its cycles"
    yield f"estimate: {comparison.estimator}: time of this over time of the other {units.factor(comparison.ratio)}"
    for what, interval in (("printed", comparison.interval), ("decides", comparison.judged)):
        if interval:
            yield f"{interval.confidence:.0%} interval ({what}): {units.interval(interval.low, interval.high)}"
    few = f"below {ENOUGH_CELLS} cells the 99 % interval must lie beyond it"
    rule = few if comparison.cells < ENOUGH_CELLS else "the 90 % interval must lie wholly beyond it, or wholly within"
    yield f"margin: {units.percent(comparison.margin)}; {rule}"
    yield from _smallest_change(comparison)
    for test in comparison.tests[:1]:
        adjusted = ", ".join(f"{method} {units.p_value(from_number(p))}" for method, p in test.p_adjusted.items())
        p = "unknown" if test.p is None else units.p_value(from_number(test.p))
        yield f"for information only: {test.name} p {p}{f'; over the whole table {adjusted}' if adjusted else ''}"
    for flag in [*group.flags, *comparison.flags]:
        yield f"flag: {flag}"


def of_decision(decided: Decided) -> list[str]:
    """Return how the gate decided about one case."""
    change = decided.change
    return [for_line(change.case), *(f"  {for_line(line)}" for line in _decision(decided, change))]


def _decision(decided: Decided, change: Change) -> Iterator[str]:
    yield f"gate: {decided.decision}{f' ({decided.why})' if decided.why else ''}"
    yield f"before: {change.base}, now: {change.head}"
    if change.ratio is None:
        return
    yield f"change: {changed(change.ratio, change.interval)}; the 95 % interval is printed"
    if change.judged is None:
        return
    yield f"units: {change.units} {change.unit}"
    yield f"verdict: {change.verdict}; the 90 % interval {units.interval(change.judged.low, change.judged.high)} decides, by the margin of {units.percent(change.margin)}"
    if change.p is not None:
        p = units.p_value(from_number(change.p))
        if change.p_adjusted is not None:
            p += f", by Holm over {change.family} {units.p_value(from_number(change.p_adjusted))}"
        yield f"alarm: {'yes' if change.alarm else 'no'}; p {p}; only above {units.percent(change.alarm_above)}"
    if change.bound is not None:
        yield f"a single run raises an alarm from {changed(change.bound, None)}"
    yield from _smallest_change(change)


def _smallest_change(of: Change | Comparison) -> Iterator[str]:
    if of.smallest_change is not None:
        yield f"smallest change the interval could have shown: {units.percent(of.smallest_change)}"
