"""The verdicts as Markdown: sections that ``duet report --into`` puts between the markers of a document."""

from __future__ import annotations

import itertools
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.report import columns, formatting
from pytest_duet.report.columns import MEMBER, VERDICT
from pytest_duet.report.escape import for_markdown
from pytest_duet.report.formats import Format, register
from pytest_duet.report.formats.terminal import render_timed
from pytest_duet.report.model import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.model import Report, Row, Table

_CASE: Final = "task / algorithm / phase / workload"
_BOUNDS: Final = "speed-up: lowest to highest bound of the 95 % intervals over all workloads"
_SUMMARY: Final = ("task / algorithm / phase", "reference", _BOUNDS)
_SAMPLE_SECTION: Final = "sample"
_SAMPLE_WIDTH: Final = 120


def render(run: RunRecord, stem: str, section: str = "") -> str:
    """Return one of the `SECTIONS` of `run`, which the file `stem` holds; the text ends with a newline."""
    report = build(run)
    caption = [] if section == _SAMPLE_SECTION else ["", _caption(report, stem)]
    return "\n".join([*SECTIONS[section](report), *caption, ""])


def _everything(report: Report) -> Iterator[str]:
    yield from _summary(report)
    yield from ("", "<details>", "<summary>Every case</summary>", "")
    yield from _cases(report)
    yield from ("", "</details>")


def _sample(report: Report) -> Iterator[str]:
    """Yield one group as a terminal shows it: of those with several timed rivals the first with the most verdicts."""
    rivals = [[row for row in table.rows if row.time_ns is not None and row.comparison] for table in report.tables]
    verdicts = [len(set(map(formatting.verdict, rows))) * (len(rows) > 1) for rows in rivals]
    text = "no group has two rivals that were timed\n"
    if best := max(verdicts, default=0):
        text = render_timed(report.tables[verdicts.index(best)], report, _SAMPLE_WIDTH)
    # Names come from outside: they must neither close the block nor be taken for a marker.
    fence = "`" * max([3, *(len(found) + 1 for found in re.findall("`+", text))])
    yield from (f"{fence}text", text.rstrip("\n").replace("<!--", "<! --"), fence)


def _table(headings: Sequence[str], right: Iterable[bool], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for texts in (headings, ["---:" if each else "---" for each in right], *rows):
        yield f"| {' | '.join(texts)} |"


def _what(table: Table) -> tuple[str, str, str]:
    return table.group.task, table.group.algorithm, table.group.phase


def _summary(report: Report) -> Iterator[str]:
    phases: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for table in report.tables:
        phases[_what(table)].extend(table.rows)
    rows = (_summary_row(what, rows) for what, rows in phases.items())
    return _table(_SUMMARY, itertools.repeat(False, len(_SUMMARY)), rows)


def _summary_row(what: tuple[str, str, str], rows: Sequence[Row]) -> list[str]:
    references = dict.fromkeys(row.member.name for row in rows if row.member.role == "reference")
    rivals: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.member.role == "rival":
            rivals[f"{row.member.name} {formatting.against(row)}".rstrip()].append(row)
    lines = [for_markdown(f"{name}: {_together(same)}") for name, same in rivals.items()]
    return [for_markdown(" / ".join(what)), for_markdown(", ".join(references)), "<br>".join(lines)]


def _together(rows: Sequence[Row]) -> str:
    """Return the outermost bounds of the intervals of `rows`, and the number of rows of each verdict."""
    bounds = [bound for row in rows if row.shown for bound in row.speed_up_interval or ()]
    between = f"{units.speed_up(min(bounds))} to {units.speed_up(max(bounds))}, " if bounds else ""
    words = Counter(formatting.verdict(row) if row.shown else row.why_not.partition(":")[0] for row in rows)
    return between + ", ".join(word if len(rows) == 1 else f"{count} {word}" for word, count in words.most_common())


def _cases(report: Report) -> Iterator[str]:
    shown = [column for column in columns.COLUMNS if column.markdown]
    # A labelled column holds words and numbers, which a common right end would not line up.
    right = [column.right and column.label is None for column in shown]
    headings = [_CASE, *(column.markdown for column in shown)]
    rows = (
        [for_markdown(case if index == 0 else ""), *(for_markdown(_text(column, row)) for column in shown)]
        for table in report.tables
        for case in [" / ".join((*_what(table), table.group.workload))]
        for index, row in enumerate(table.rows)
    )
    return _table(headings, [False, *right], rows)


def _text(column: columns.Column, row: Row) -> str:
    if row.shown or column is MEMBER:
        return column.in_markdown(row)
    reproducer = f"; reproducer: {row.member.reproducer}" if row.member.reproducer else ""
    return f"{row.why_not}{reproducer}" if column is VERDICT else ""


def _caption(report: Report, stem: str) -> str:
    source = f"Run {stem}, {report.run.created[:10]}, {report.run.machine.cpu}"
    return for_markdown(f"{source}; {formatting.counts(report)}. {' '.join(formatting.scope(report))}".rstrip())


SECTIONS: Final[Mapping[str, Callable[[Report], Iterator[str]]]] = {
    "": _everything,
    "summary": _summary,
    "cases": _cases,
    _SAMPLE_SECTION: _sample,
}
"""By the name in the marker; the plain marker has none."""

register(Format("markdown", "for a document", lambda run, options: render(run, options.stem)))
