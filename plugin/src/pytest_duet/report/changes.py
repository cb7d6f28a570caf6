"""How cases changed and what the gate decided about each, as plain text: a line a case, the reason below it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, get_args

from pytest_duet import units
from pytest_duet.analysis.gate import compared
from pytest_duet.defaults import ALPHA
from pytest_duet.exit_status import Exit
from pytest_duet.report.escape import for_line
from pytest_duet.report.formatting import NOTHING
from pytest_duet.report.text_table import page, table, wrapped
from pytest_duet.vocabulary import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.records.schema import Interval

_HEADINGS: Final = ("case", "before", "now", "change [95 %]", "could see", "verdict", "gate")
_RIGHT: Final = [heading in {"before", "now", "could see"} for heading in _HEADINGS]
_INDENT: Final = "    "


def render(
    decisions: Sequence[Decided],
    width: int,
    status: Exit,
    *,
    all_cases: bool,
    advisory: bool = False,
    ascii_only: bool = False,
) -> str:
    """Return the table of `decisions`, of all cases or of those that did not pass, and a summary; ends with a newline."""
    shown = [each for each in decisions if all_cases or each.decision != "passed"]
    lines = [*_table(shown, width), ""] if shown else []
    return page([*lines, *summary(decisions, status, width, advisory=advisory)], ascii_only=ascii_only)


def _table(shown: Sequence[Decided], width: int) -> Iterator[str]:
    heading, *rows = table([_HEADINGS, *map(_texts, shown)], _RIGHT)
    yield heading
    for each, row in zip(shown, rows, strict=True):
        yield row
        if each.why:
            yield from wrapped(each.why, width, _INDENT, _INDENT)


def _texts(decided: Decided) -> list[str]:
    change = decided.change
    texts = (
        change.case,
        NOTHING if change.base_ns is None else units.duration(change.base_ns),
        NOTHING if change.head_ns is None else units.duration(change.head_ns),
        NOTHING if change.ratio is None else changed(change.ratio, change.interval),
        NOTHING if change.smallest_change is None else units.percent(change.smallest_change),
        change.verdict,
        decided.decision,
    )
    return list(map(for_line, texts))


def changed(ratio: float, between: Interval | None) -> str:
    """Return a relative change with its interval: ``+7.1 % [+5.2 %, +9 %]``."""
    bounds = f" [{_signed(between.low)}, {_signed(between.high)}]" if between else ""
    return f"{_signed(ratio)}{bounds}"


def _signed(ratio: float) -> str:
    return f"{'+' if ratio >= 1 else '-'}{units.percent(abs(ratio - 1))}"


def summary(decisions: Sequence[Decided], status: Exit, width: int, *, advisory: bool) -> Iterator[str]:
    """Yield the lines of the summary: counts, the number of cases tested together, the exit status."""
    counts = Counter(each.decision for each in decisions)
    each = ", ".join(f"{counts[word]} {word}" for word in get_args(Decision) if counts[word]) or "no cases"
    family = max((decided.change.family for decided in decisions), default=0)
    rule = f"; alarms at {units.percent(ALPHA)} over {units.counted(family, 'case')} by Holm" if family else ""
    forgiven = " (cases that cannot be decided pass as advisory)" if advisory and counts["cannot decide"] else ""
    nothing = "" if compared(decisions) else "; no case was compared"
    meaning = "" if status is Exit.PASSED else f", {status.name.lower().replace('_', ' ')}"
    yield from wrapped(f"gate: {each}{rule}{nothing}; exit status {int(status)}{meaning}{forgiven}", width)
