"""The verdict table as Markdown, short enough for a README.

Not for splicing it into a file: ``cli`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_duet.report import phrases
from pytest_duet.report.escape import for_markdown
from pytest_duet.report.model import build

if TYPE_CHECKING:
    from pytest_duet.record import RunRecord
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


def render(run: RunRecord, stem: str) -> str:
    """Return the verdict table of `run` and a caption that cites the file `stem`; the text ends with a newline."""
    report = build(run)
    rule = ("---:" if title in _RIGHT else "---" for title in _TITLES)
    lines = [f"| {' | '.join(_TITLES)} |", f"| {' | '.join(rule)} |"]
    for table in report.tables:
        for index, row in enumerate(table.rows):
            lines.append(f"| {' | '.join(_cells(table, row, first=index == 0))} |")
    return "\n".join([*lines, "", _caption(report, stem)]) + "\n"


def _cells(table: Table, row: Row, *, first: bool) -> list[str]:
    group = table.group
    what = f"{group.task} / {group.algorithm} / {group.phase} / {group.workload}" if first else ""
    head = [for_markdown(what), for_markdown(row.member.name)]
    if not row.shown:
        return [*head, "", "", for_markdown(_why_not(row)), "", "", ""]
    quality = f"{row.quality.metric} {phrases.quality(row)}" if row.quality else phrases.NOTHING
    word = "verified only" if group.verified_only else f"{phrases.verdict(row)} {phrases.against(row)}".rstrip()
    texts = (phrases.time(row), phrases.speed_up(row), word, phrases.parity(row), quality, phrases.peak_memory(row))
    return [*head, *map(for_markdown, texts)]


def _why_not(row: Row) -> str:
    return f"{row.why_not}; reproducer: {row.member.reproducer}" if row.member.reproducer else row.why_not


def _caption(report: Report, stem: str) -> str:
    run = report.run
    source = f"Run {stem}, {run.created[:10]}, {run.machine.cpu}"
    counted = phrases.counts(report)
    scope = " ".join(phrases.scope(report))
    return for_markdown(f"{source}; {counted}. {scope}".rstrip())
