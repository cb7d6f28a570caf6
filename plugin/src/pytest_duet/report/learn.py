"""What ``duet learn`` prints: one line a member, over all seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet import units
from pytest_duet.report.escape import for_line
from pytest_duet.report.formatting import NOTHING
from pytest_duet.report.text_table import page, table

if TYPE_CHECKING:
    from pytest_duet.analysis.learning import Learning
    from pytest_duet.stats.results import Estimate


def render(learning: Learning) -> str:
    """Return a table of the members: typical score, probability of improvement, trials that reached the goal and when."""
    headings = [
        "member",
        f"{learning.metric}: interquartile mean [95 %]",
        f"better than {learning.reference} [95 %]",
        "verdict",
        f"reached {learning.threshold:g}",
        "median time to it",
    ]
    rows = [headings, *(_row(learning, member) for member in learning.members())]
    lines = [
        f"{learning.task} · {learning.group}: {len(learning.times(learning.reference))} seeds",
        "",
        *table(rows, [False] * len(headings)),
        "",
        "Times are of single trainings, not of rounds in pairs, so no ratio is made of them. A training that did not",
        "reach the goal counts as later than all that did.",
    ]
    failed = (f"{each.member}, seed {each.seed}: {each.reason}" for each in learning.trials if each.reason)
    return page([*lines, *map(for_line, failed)])


def _row(learning: Learning, member: str) -> list[str]:
    improvement, median_ns = learning.improvement(member), learning.median_time(member).value
    return [
        for_line(member),
        _interval(learning.typical_score(member), ".1f"),
        NOTHING if improvement is None else _interval(improvement, ".2f"),
        learning.word(member) or "reference",
        f"{learning.reached(member)} of {len(learning.times(member))}",
        "not reached" if median_ns is None else units.duration(median_ns),
    ]


def _interval(found: Estimate, form: str) -> str:
    if found.value is None:
        return NOTHING
    if found.low is None or found.high is None:
        return f"{found.value:{form}}"
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
