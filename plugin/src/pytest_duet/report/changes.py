"""How cases changed and what the gate decides of each, as plain text: a line a case, the reason below it.

Not for deciding (``gate``), and not for members of one run (``terminal``).
"""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Final, get_args

from pytest_duet import units
from pytest_duet.analysis.gate import compared
from pytest_duet.defaults import ALPHA
from pytest_duet.exit_status import Exit
from pytest_duet.report.escape import for_ascii, for_line
from pytest_duet.vocabulary import Decision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.records.schema import Interval

_NOTHING: Final = "–"
_GAP: Final = "  "
_TITLES: Final = ("case", "before", "now", "change [95 %]", "could see", "verdict", "gate")
_RIGHT: Final = frozenset({"before", "now", "could see"})


def render(
    decisions: Sequence[Decided],
    width: int,
    status: Exit,
    *,
    all_cases: bool,
    advisory: bool = False,
    plain: bool = False,
) -> str:
    """Return the table of `decisions` and one line with what follows; only what did not pass unless `all_cases`.

    `plain` writes nothing but ASCII. The text ends with a newline.
    """
    shown = [each for each in decisions if all_cases or each.decision != "passed"]
    lines = [*_table(shown, width), *([""] if shown else []), *summary(decisions, status, width, advisory=advisory)]
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return for_ascii(text) if plain else text


def _table(shown: Sequence[Decided], width: int) -> Iterator[str]:
    rows = [_cells(each) for each in shown]
    if not rows:
        return
    wide = [max(len(title), *(len(row[at]) for row in rows)) for at, title in enumerate(_TITLES)]
    yield _line(_TITLES, wide)
    for each, row in zip(shown, rows, strict=True):
        yield _line(row, wide)
        if each.why:
            yield from textwrap.wrap(for_line(each.why), width, initial_indent="    ", subsequent_indent="    ")


def _line(cells: Sequence[str], wide: Sequence[int]) -> str:
    return _GAP.join(
        cell.rjust(size) if title in _RIGHT else cell.ljust(size)
        for title, cell, size in zip(_TITLES, cells, wide, strict=True)
    )


def _cells(decided: Decided) -> list[str]:
    change = decided.change
    texts = [
        change.case,
        _NOTHING if change.base_ns is None else units.duration(change.base_ns),
        _NOTHING if change.head_ns is None else units.duration(change.head_ns),
        _NOTHING if change.ratio is None else changed(change.ratio, change.interval),
        _NOTHING if change.smallest_change is None else units.percent(change.smallest_change),
        change.verdict,
        decided.decision,
    ]
    return [for_line(text) for text in texts]


def changed(ratio: float, between: Interval | None) -> str:
    """Return a relative change with its interval: ``+7.1 % [+5.2 %, +9 %]``."""
    bounds = f" [{_signed(between.low)}, {_signed(between.high)}]" if between else ""
    return f"{_signed(ratio)}{bounds}"


def _signed(ratio: float) -> str:
    return f"{'+' if ratio >= 1 else '-'}{units.percent(abs(ratio - 1))}"


def summary(decisions: Sequence[Decided], status: Exit, width: int, *, advisory: bool) -> Iterator[str]:
    """Yield what follows, in a sentence or two: counts, the family, the exit status."""
    counts = Counter(each.decision for each in decisions)
    each = ", ".join(f"{counts[word]} {word}" for word in get_args(Decision) if counts[word]) or "no cases"
    family = max((decided.change.family for decided in decisions), default=0)
    rule = (
        f"; alarms at {units.percent(ALPHA)} over {family} {'case' if family == 1 else 'cases'} by Holm"
        if family
        else ""
    )
    forgiven = " (what cannot be decided is forgiven)" if advisory and counts["cannot decide"] else ""
    nothing = "" if compared(decisions) else "; nothing was compared with anything"
    text = f"gate: {each}{rule}{nothing}; exit status {int(status)}{_meaning(status)}{forgiven}"
    yield from textwrap.wrap(text, width, subsequent_indent="    ")


def _meaning(status: Exit) -> str:
    return "" if status is Exit.PASSED else f", {status.name.lower().replace('_', ' ')}"
