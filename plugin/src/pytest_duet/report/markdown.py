"""The verdicts as Markdown for a README: a line for each algorithm and phase, and below it, folded, the whole table.

Not for splicing it into a file: ``cli`` does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.report import formatting
from pytest_duet.report.escape import for_markdown
from pytest_duet.report.model import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.model import Report, Row, Table

_TITLES: Final = (
    "task / algorithm / phase / workload",
    "framework",
    "time",
    "speed-up [95 % interval]",
    "verdict",
    "parity",
    "quality",
    "peak memory",
)
_RIGHT: Final = frozenset({"time", "peak memory"})
_SUMMARY_TITLES: Final = (
    "task / algorithm / phase",
    "reference",
    "speed-up: lowest to highest bound of the 95 % intervals over all workloads",
)


def render(run: RunRecord, stem: str) -> str:
    """Return the verdicts of `run` and a caption that cites the file `stem`; the text ends with a newline."""
    report = build(run)
    rows = (_cells(table, row, first=index == 0) for table in report.tables for index, row in enumerate(table.rows))
    return "\n".join(
        [
            *_table(_SUMMARY_TITLES, _summary(report)),
            "",
            "<details>",
            "<summary>Every case</summary>",
            "",
            *_table(_TITLES, rows),
            "",
            "</details>",
            "",
            _caption(report, stem),
            "",
        ]
    )


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(titles)
    yield _line(["---:" if title in _RIGHT else "---" for title in titles])
    yield from map(_line, rows)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- a line for each algorithm and phase ------------------------------------------------------------------------------


def _summary(report: Report) -> Iterator[list[str]]:
    phases: defaultdict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for table in report.tables:
        phases[table.group.task, table.group.algorithm, table.group.phase].extend(table.rows)
    for what, rows in phases.items():
        references = dict.fromkeys(row.member.name for row in rows if row.member.role == "reference")
        rivals: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            if row.member.role == "rival":
                rivals[f"{row.member.name} {formatting.against(row)}".rstrip()].append(row)
        lines = [for_markdown(f"{name}: {_together(same)}") for name, same in rivals.items()]
        yield [for_markdown(" / ".join(what)), for_markdown(", ".join(references)), "<br>".join(lines)]


def _together(rows: Sequence[Row]) -> str:
    """Return between which speed-ups the intervals of `rows` lie, and each verdict with how many of them have it."""
    bounds = [bound for row in rows if row.shown for bound in row.speed_up_interval or ()]
    between = f"{units.speed_up(min(bounds))} to {units.speed_up(max(bounds))}, " if bounds else ""
    words = Counter(formatting.verdict(row) if row.shown else row.why_not.partition(":")[0] for row in rows)
    return between + ", ".join(word if len(rows) == 1 else f"{count} {word}" for word, count in words.most_common())


# --- every case -------------------------------------------------------------------------------------------------------


def _cells(table: Table, row: Row, *, first: bool) -> list[str]:
    group = table.group
    what = f"{group.task} / {group.algorithm} / {group.phase} / {group.workload}" if first else ""
    head = [for_markdown(what), for_markdown(row.member.name)]
    if not row.shown:
        return [*head, "", "", for_markdown(_why_not(row)), "", "", ""]
    quality = f"{row.quality.metric} {formatting.quality(row)}" if row.quality else formatting.NOTHING
    word = "verified only" if group.verified_only else f"{formatting.verdict(row)} {formatting.against(row)}".rstrip()
    texts = (
        formatting.time(row),
        formatting.speed_up(row),
        word,
        formatting.parity(row),
        quality,
        formatting.peak_memory(row),
    )
    return [*head, *map(for_markdown, texts)]


def _why_not(row: Row) -> str:
    return f"{row.why_not}; reproducer: {row.member.reproducer}" if row.member.reproducer else row.why_not


def _caption(report: Report, stem: str) -> str:
    run = report.run
    source = f"Run {stem}, {run.created[:10]}, {run.machine.cpu}"
    counted = formatting.counts(report)
    scope = " ".join(formatting.scope(report))
    return for_markdown(f"{source}; {counted}. {scope}".rstrip())
