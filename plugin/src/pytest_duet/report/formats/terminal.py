"""The verdict table as plain text for terminals and logs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from pytest_duet.report import columns, formatting
from pytest_duet.report.columns import MEMBER, Column
from pytest_duet.report.escape import for_line
from pytest_duet.report.formats import Format, register
from pytest_duet.report.model import build
from pytest_duet.report.text_table import GAP, NARROWEST, padded, page, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.formats import Options
    from pytest_duet.report.model import Report, Row, Table

_INDENT: Final = "  "


def render(run: RunRecord, width: int, verbosity: int = 0, *, colour: bool = False, ascii_only: bool = False) -> str:
    """Return the verdict table of `run` as lines of at most `width` characters, as far as words allow.

    A `width` below `NARROWEST` counts as that. A `verbosity` below 0 gives one line a group, one above 0 adds effect sizes,
    tests, attestation and readings. With `colour`, verdicts have ANSI colours.
    """
    rendering = _Rendering(build(run), max(width, NARROWEST), verbosity, colour=colour)
    lines = list(rendering.compact() if verbosity < 0 else rendering.tables())
    return page([*lines, *rendering.summary()], ascii_only=ascii_only)


def render_timed(table: Table, report: Report, width: int) -> str:
    """Return one `table` of `report` with the members that were timed, and without the columns that a table can spare."""
    timed = dataclasses.replace(table, rows=tuple(row for row in table.rows if row.time_ns is not None))
    return page(_Rendering(dataclasses.replace(report, tables=(timed,)), width, spare=False).table(timed))


class _Rendering:
    """One rendering: the report, and how wide its columns are over all groups, so that they line up."""

    def __init__(
        self, report: Report, width: int, verbosity: int = 0, *, colour: bool = False, spare: bool = True
    ) -> None:
        self.report, self.width, self.verbosity, self.colour = report, width, verbosity, colour
        places = ["always", "below", "spare"] if spare else ["always", "below"]
        possible = [each for each in columns.COLUMNS if each.place in places and each.verbosity <= verbosity]
        possible.sort(key=lambda column: places.index(column.place))
        self.untimed = [column for column in possible if column.untimed]
        self.widths = {column: self._width_of(column) for column in possible}
        self.beside, self.below = self._fit(possible)

    def _fit(self, possible: Sequence[Column]) -> tuple[list[Column], list[Column]]:
        """Return the columns that are shown side by side, and those that must go on a second line."""
        beside = [column for column in possible if column.place == "always"]
        below = list[Column]()
        used = len(_INDENT) + sum(self.widths[column] + len(GAP) for column in beside) - len(GAP)
        for column in possible:
            if column in beside or all(column.text(row) == formatting.NOTHING for row in self.report.rows()):
                continue
            needed = self.widths[column] + len(GAP)
            if not below and used + needed <= self.width:
                beside.append(column)
                used += needed
            elif column.place == "below":
                below.append(column)
            else:
                break
        return beside, below

    def _width_of(self, column: Column) -> int:
        rows = [row for row in self.report.rows() if column.untimed or not row.group.verified_only]
        texts = [for_line(column.text(row)) for row in rows if row.shown or column is MEMBER]
        headings = [column.heading_over(table.rows) for table in self.report.tables]
        return max(map(len, texts + headings), default=0)

    def tables(self) -> Iterator[str]:
        for table in self.report.tables:
            yield from self.table(table)
            for flag in table.group.flags:
                yield from wrapped(f"flag: {flag}", self.width, _INDENT, _INDENT * 2)
            yield ""

    def table(self, table: Table) -> Iterator[str]:
        yield from wrapped(formatting.heading(table.group), self.width)
        shown = self.untimed if table.group.verified_only else self.beside
        if table.group.verified_only:
            yield f"{_INDENT}verified only: parity and quality were checked, nothing was timed"
        if any(row.shown for row in table.rows):
            yield _INDENT + GAP.join(self._padded(shown, [column.heading_over(table.rows) for column in shown]))
        inner = _INDENT + " " * self.widths[MEMBER] + GAP
        for row in table.rows:
            yield from self._row(row, shown, inner)
            yield from self._remarks(row, inner)

    def _row(self, row: Row, shown: Sequence[Column], inner: str) -> Iterator[str]:
        if not row.shown:
            name = for_line(row.member.name).ljust(self.widths[MEMBER])
            yield from wrapped(row.why_not, self.width, f"{_INDENT}{name}{GAP}", inner)
            return
        texts = [for_line(column.text(row)) for column in shown]
        parts = self._padded(shown, texts)
        for at, column in enumerate(shown):
            if self.colour and (code := column.colours.get(texts[at])):
                parts[at] = f"\x1b[{code}m{parts[at]}\x1b[0m"
        yield _INDENT + GAP.join(parts)
        below = [text for column in self.below if (text := column.named(row))]
        if below and shown is self.beside:
            yield from wrapped(", ".join(below), self.width, inner, inner)

    def _padded(self, shown: Sequence[Column], texts: Sequence[str]) -> list[str]:
        return padded(texts, [self.widths[column] for column in shown], [column.right for column in shown])

    def _remarks(self, row: Row, inner: str) -> Iterator[str]:
        for remark in formatting.remarks(row):
            yield from wrapped(remark, self.width, inner, inner + _INDENT)
        if row.member.reproducer:
            # Whole, even where it is too wide: a name is there to be copied.
            yield f"{inner}reproducer: {for_line(row.member.reproducer)}"
        if self.verbosity > 0:
            for detail in formatting.details(row):
                yield from wrapped(detail, self.width, inner, inner + _INDENT)

    def compact(self) -> Iterator[str]:
        for table in self.report.tables:
            yield from wrapped(f"{table.group.id}: {'; '.join(map(_brief, table.rows))}", self.width)

    def summary(self) -> Iterator[str]:
        short = self.verbosity < 0
        yield from wrapped(formatting.counts(self.report), self.width)
        for reason, count in self.report.reasons if not short else ():
            yield from wrapped(f"{reason}{f' (×{count})' if count > 1 else ''}", self.width, _INDENT, _INDENT * 2)
        if verdicts := ", ".join(f"{count} {word}" for word, count in self.report.verdicts):
            yield from wrapped(f"verdicts: {verdicts}", self.width)
        sentences = formatting.scope(self.report)
        if self.report.family:
            more = "-v shows them, with effect sizes, readings and what was attested." if self.verbosity < 1 else ""
            sentences += filter(None, [more, *(column.note for column in self.beside)])
        yield from wrapped(sentences[0] if short else " ".join(sentences), self.width, rest="")


def _brief(row: Row) -> str:
    if row.time_ns is None:
        return f"{row.member.name} {'verified' if row.shown else row.why_not.partition(':')[0]}"
    number = formatting.speed_up(row) if row.comparison else formatting.time(row)
    return f"{row.member.name} {formatting.verdict(row)} {number}"


def _render(run: RunRecord, options: Options) -> str:
    return render(run, options.width, options.verbosity, colour=options.colour, ascii_only=options.ascii_only)


register(Format("terminal", "for reading here", _render))
