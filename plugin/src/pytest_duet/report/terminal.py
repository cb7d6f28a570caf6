"""The verdict table as plain text for terminals and logs.

Not for what is in it (``model``) nor for its words (``phrases``).
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.report import formatting
from pytest_duet.report.escape import for_ascii, for_line
from pytest_duet.report.model import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.model import Report, Row, Table

NARROWEST: Final = 72
_INDENT: Final = "  "
_GAP: Final = "  "
_HARD_SPACE: Final = "\N{NO-BREAK SPACE}"
_TOGETHER: Final = re.compile(r"\[[-+.\de]+, [-+.\de]+\]|\d (?:%|[KMG]?i?B\b|[mun]?s\b)|[pn] [=<] ")
"""What is read as one and therefore not broken over lines: intervals, numbers with their units."""

_COLOURS: Final = {"faster": "32", "slower": "31", "inconclusive": "33", "not comparable": "35"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, how a row's text is made, and whether it is set to the right."""

    title: str
    text: Callable[[Row], str]
    right: bool = False


_MEMBER: Final = Column("", lambda row: row.member.name)
_VERDICT: Final = Column("verdict", formatting.verdict)
_TIMED: Final = (
    _MEMBER,
    Column("time", formatting.time, right=True),
    Column("speed-up [95 %]", formatting.speed_up),
    _VERDICT,
)
_PARITY: Final = Column("parity", formatting.parity)
_QUALITY: Final = Column("quality", formatting.quality, right=True)
_PEAK: Final = Column("peak mem", formatting.peak_memory, right=True)
_SMALLEST: Final = Column("smallest change", formatting.smallest_change, right=True)
_EXTRA: Final = (
    Column("cells", formatting.cells, right=True),
    _SMALLEST,
    Column("cpu", formatting.cpu_utilisation, right=True),
    Column("average memory", formatting.average_memory, right=True),
)


def render(run: RunRecord, width: int, verbosity: int = 0, *, colour: bool = False, ascii_only: bool = False) -> str:
    """Return the verdict table of `run` as lines of at most `width` characters, as far as words allow.

    Args:
        run: what was measured; its comparisons are derived where it holds none.
        width: characters a line may have; below `NARROWEST` it counts as that.
        verbosity: below 0 one line a group, above 0 with effect sizes, tests, attestation and readings.
        colour: set verdicts in ANSI colours; nothing depends on them.
        ascii_only: write nothing but ASCII.

    """
    report = build(run)
    width = max(width, NARROWEST)
    page = _Page(report, width, colour=colour)
    lines = list(page.compact() if verbosity < 0 else page.full(verbose=verbosity > 0))
    lines.extend(page.summary(short=verbosity < 0, verbose=verbosity > 0))
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return for_ascii(text) if ascii_only else text


class _Page:
    """One rendering: the report, and how wide its columns are over all groups, so that they line up."""

    def __init__(self, report: Report, width: int, *, colour: bool) -> None:
        self.report = report
        self.width = width
        self.colour = colour
        self.columns, self.below = self._fit()
        self.widths = {column.title: self._wide(column) for column in (*self.columns, _PARITY, _QUALITY, _PEAK)}

    def _fit(self) -> tuple[list[Column], list[Column]]:
        """Return the columns that stand side by side, and those that must go on a second line."""
        columns, below = list(_TIMED), list[Column]()
        used = len(_INDENT) + sum(self._wide(column) + len(_GAP) for column in columns) - len(_GAP)
        for column in (_PARITY, _QUALITY, _PEAK, *_EXTRA):
            if all(column.text(row) == formatting.NOTHING for row in self.report.rows()):
                continue
            needed = self._wide(column) + len(_GAP)
            if not below and used + needed <= self.width:
                columns.append(column)
                used += needed
            elif column not in _EXTRA:
                below.append(column)
            else:
                break
        return columns, below

    def _wide(self, column: Column) -> int:
        texts = [for_line(column.text(row)) for row in self.report.rows() if row.shown or column is _MEMBER]
        titles = [self._title(column, table) for table in self.report.tables]
        return max(map(len, texts + titles), default=0)

    @staticmethod
    def _title(column: Column, table: Table) -> str:
        if column is _QUALITY:
            metrics = {row.quality.metric for row in table.rows if row.shown and row.quality}
            return for_line(metrics.pop()) if len(metrics) == 1 else column.title
        return column.title

    # --- one group after the other ------------------------------------------------------------------------------------

    def full(self, *, verbose: bool) -> Iterator[str]:
        for table in self.report.tables:
            yield from self._wrapped(formatting.heading(table.group), "", "    ")
            if table.group.verified_only:
                yield f"{_INDENT}verified only: parity and quality were checked, nothing was timed"
            columns = self._shown_columns(table)
            if any(row.shown for row in table.rows):
                yield self._line(columns, [self._title(column, table) for column in columns])
            for row in table.rows:
                yield from self._row(columns, row, verbose=verbose)
            for flag in table.group.flags:
                yield from self._wrapped(f"flag: {flag}", _INDENT, _INDENT * 2)
            yield ""

    def _shown_columns(self, table: Table) -> list[Column]:
        if table.group.verified_only:
            return [_MEMBER, _PARITY, _QUALITY]
        return self.columns

    def _row(self, columns: Sequence[Column], row: Row, *, verbose: bool) -> Iterator[str]:
        inner = _INDENT + " " * self.widths[""] + _GAP
        if row.shown:
            yield self._line(columns, [for_line(column.text(row)) for column in columns], row)
            below = [text for column in self.below if (text := _named(column, row))]
            if below and columns is self.columns:
                yield from self._wrapped(", ".join(below), inner, inner)
            yield from self._remarks(row, inner)
        else:
            name = for_line(row.member.name).ljust(self.widths[""])
            yield from self._wrapped(row.why_not, f"{_INDENT}{name}{_GAP}", inner)
        if row.member.reproducer:
            # Whole, even where it is too wide: a name is there to be copied.
            yield f"{inner}reproducer: {for_line(row.member.reproducer)}"
        if verbose:
            for detail in formatting.details(row):
                yield from self._wrapped(detail, inner, inner + _INDENT)

    def _remarks(self, row: Row, inner: str) -> Iterator[str]:
        comparison = row.comparison
        if comparison is None:
            return
        if against := formatting.against(row):
            yield from self._wrapped(against, inner, inner + _INDENT)
        if comparison.reason:
            yield from self._wrapped(comparison.reason, inner, inner + _INDENT)
        for flag in comparison.flags:
            yield from self._wrapped(f"flag: {flag}", inner, inner + _INDENT)

    def _line(self, columns: Sequence[Column], texts: Sequence[str], row: Row | None = None) -> str:
        parts = []
        for column, text in zip(columns, texts, strict=True):
            wide = self.widths[column.title]
            part = text.rjust(wide) if column.right else text.ljust(wide)
            parts.append(self._coloured(part, text) if row and column is _VERDICT else part)
        return _INDENT + _GAP.join(parts)

    def _coloured(self, part: str, word: str) -> str:
        code = _COLOURS.get(word) if self.colour else None
        return f"\x1b[{code}m{part}\x1b[0m" if code else part

    # --- a line a group -----------------------------------------------------------------------------------------------

    def compact(self) -> Iterator[str]:
        for table in self.report.tables:
            members = "; ".join(_brief(row) for row in table.rows)
            yield from self._wrapped(f"{table.group.id}: {members}", "", "    ")

    # --- the end ------------------------------------------------------------------------------------------------------

    def summary(self, *, short: bool, verbose: bool) -> Iterator[str]:
        yield from self._wrapped(formatting.counts(self.report), "", "    ")
        if not short:
            for reason, count in self.report.reasons:
                times = f" (×{count})" if count > 1 else ""
                yield from self._wrapped(f"{reason}{times}", _INDENT, _INDENT * 2)
        if self.report.verdicts:
            yield from self._wrapped(f"verdicts: {formatting.verdict_counts(self.report)}", "", "    ")
        sentences = formatting.scope(self.report)
        if self.report.family and not verbose:
            sentences.append("-v shows them, with effect sizes, readings and what was attested.")
        if self.report.family and _SMALLEST in self.columns:
            sentences.append("The smallest change is the least that the interval would have shown.")
        yield from self._wrapped(sentences[0] if short else " ".join(sentences), "", "")

    def _wrapped(self, text: str, first: str, rest: str) -> list[str]:
        """Wrap foreign text: it is stripped of everything that is not letters before a terminal sees it."""
        clean = _TOGETHER.sub(lambda match: match[0].replace(" ", _HARD_SPACE), for_line(text))
        # A long name must not leave a column one word wide.
        rest = rest if len(rest) <= self.width // 2 else _INDENT * 2
        lines = textwrap.wrap(clean, self.width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
        return [line.replace(_HARD_SPACE, " ") for line in lines] or [first]


def _named(column: Column, row: Row) -> str:
    """Return a number together with what it is, for where no title stands above it; empty where there is none."""
    text = column.text(row)
    if text == formatting.NOTHING:
        return ""
    return f"{row.quality.metric if column is _QUALITY and row.quality else column.title} {text}"


def _brief(row: Row) -> str:
    name = row.member.name
    if not row.shown:
        return f"{name} {row.why_not.partition(':')[0]}"
    if row.time_ns is None:
        return f"{name} verified"
    if row.comparison is None:
        return f"{name} {formatting.verdict(row)} {formatting.time(row)}"
    return f"{name} {formatting.verdict(row)} {formatting.speed_up(row)}"
