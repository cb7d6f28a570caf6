"""What ``duet ab`` prints: one line a case, the worst first, and one line for all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.report.changes import changed
from pytest_duet.report.escape import for_line
from pytest_duet.values import from_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.records.schema import Change

WORDS: Final = {"regression": "FAIL", "invalid": "INVALID", "cannot decide": "UNSEEN", "passed": "ok"}
"""The worst first; lines are in this order."""


def lines(decisions: Sequence[Decided]) -> Iterator[str]:
    """Yield a line for each case, regressions first."""
    for decided in sorted(decisions, key=lambda each: list(WORDS).index(each.decision)):
        yield for_line(f"{WORDS[decided.decision]} {decided.change.case}: {_what(decided)}")


def _what(decided: Decided) -> str:
    change = decided.change
    if change.ratio is None:
        return decided.why
    parts = [f"{measured(change)}, {change.verdict}"]
    # A pass needs no reason; everything else does.
    if decided.decision != "passed":
        parts.append(decided.why)
    if decided.decision == "cannot decide":
        parts.append("use more --seconds or a quieter machine")
    p = "" if change.p_adjusted is None else f"Holm p {units.p_value(from_number(change.p_adjusted))}, "
    smallest = "" if change.smallest_change is None else f", could see {units.percent(change.smallest_change)}"
    return "; ".join([*parts, f"{p}{change.units} {change.unit}{smallest}"])


def measured(change: Change) -> str:
    """Return the change in time with its 95 % interval: ``+5.2 % [+4.9 %, +5.6 %]``."""
    return change.reason if change.ratio is None else changed(change.ratio, change.interval)


def summary(decisions: Sequence[Decided], names: tuple[str, str], *, complete: bool) -> str:
    """Return the two builds and the number of cases of each decision."""
    counts = Counter[str](each.decision for each in decisions)
    found = ", ".join(f"{counts[word]} {WORDS[word]}" for word in WORDS if counts[word]) or "no cases"
    cut = "" if complete else "; interrupted: the rest was not measured"
    return f"base {names[0]}, head {names[1]}: {found}{cut}"
