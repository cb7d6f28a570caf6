"""What ``duet scale`` prints: times and speed-ups by size, and how the time of each member grows."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pytest_duet import units
from pytest_duet.analysis.scaling import Growth, fit_growth
from pytest_duet.report import formatting, text_table
from pytest_duet.report.escape import for_line
from pytest_duet.report.model import build
from pytest_duet.report.text_table import GAP, page, wrapped
from pytest_duet.stats.scaling import Ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.model import Row

Sizes = dict[float, dict[str, "Row"]]
"""For each size the rows of its table, by member."""


def document(run: RunRecord, over: str, sizes: Sequence[int]) -> dict[str, object]:
    """Return the content of the table as plain numbers: times in ns, ratios of time, exponents with their intervals."""
    table = _by_size(run, sizes)
    members = {
        name: {
            "time_ns": {str(size): time for size, time in growth.times_ns.items()},
            "ratio": {str(each.size): [each.value, each.low, each.high] for each in growth.ratios},
            "exponent": [growth.exponent.value, growth.exponent.low, growth.exponent.high],
            "exponent_at_the_end": growth.last_exponent,
            "why_not": {str(size): row.why_not for size, row in _rows(table, name).items() if row.why_not},
        }
        for name, growth in _growths(table).items()
    }
    return {"over": over, "sizes": list(sizes), "members": members}


def render(run: RunRecord, over: str, sizes: Sequence[int], width: int, *, ascii_only: bool = False) -> str:
    """Return times and speed-ups by size, where `over` is what grows, and below them the growth of each member."""
    table, first = _by_size(run, sizes), run.groups[0]
    growths = _growths(table)
    rivals = [name for name in growths if any(name in rows and rows[name].comparison for rows in table.values())]
    lines = [f"{first.task} · {first.algorithm} · {first.phase} · {first.workload}: time of a call as {over} grows", ""]
    lines += _grid(over, table, list(growths), width, formatting.time)
    if rivals:
        lines += ["", "speed-up [95 %], time of the reference over time of this one", ""]
        lines += _grid(over, table, rivals, width, formatting.speed_up)
    lines += ["", *_growth_lines(over, growths, width), *_reasons(over, table, width)]
    return page(lines, ascii_only=ascii_only)


def _by_size(run: RunRecord, sizes: Sequence[int]) -> Sizes:
    named = ({row.member.name: row for row in table.rows} for table in build(run).tables)
    return dict(zip(map(float, sizes), named, strict=False))


def _growths(table: Sizes) -> dict[str, Growth]:
    return {name: _growth(_rows(table, name)) for name in dict.fromkeys(chain(*table.values()))}


def _rows(table: Sizes, name: str) -> dict[float, Row]:
    return {size: rows[name] for size, rows in table.items() if name in rows}


def _growth(rows: dict[float, Row]) -> Growth:
    times_ns = {size: row.time_ns for size, row in rows.items() if row.time_ns}
    ratios = [
        Ratio(size, row.comparison.ratio, row.comparison.interval.low, row.comparison.interval.high)
        for size, row in rows.items()
        if row.comparison and row.comparison.ratio and row.comparison.interval
    ]
    return fit_growth(times_ns, ratios)


def _grid(over: str, table: Sizes, names: Sequence[str], width: int, text: Callable[[Row], str]) -> Iterator[str]:
    """Yield a table with a line for each size and a column for each member, in several parts where it is too wide."""
    sizes = [over, *(f"{size:.0f}" for size in table)]
    part, used = [sizes], _widest(sizes)
    for name in names:
        texts = (text(rows[name]) if name in rows else formatting.NOTHING for rows in table.values())
        column = [*map(for_line, (name, *texts))]
        if len(part) > 1 and used + len(GAP) + _widest(column) > width:
            yield from (*_lines(part), "")
            part, used = [sizes], _widest(sizes)
        part.append(column)
        used += len(GAP) + _widest(column)
    yield from _lines(part)


def _lines(columns: Sequence[Sequence[str]]) -> list[str]:
    return text_table.table(list(zip(*columns, strict=True)), [True] * len(columns))


def _widest(texts: Sequence[str]) -> int:
    return max(map(len, texts))


def _growth_lines(over: str, growths: dict[str, Growth], width: int) -> Iterator[str]:
    side = _widest(list(growths))
    for name, growth in growths.items():
        found = growth.exponent
        if found.value is None:
            continue
        between = f" [{found.low:.2f}, {found.high:.2f}]" if found.low is not None and found.high is not None else ""
        # Of two sizes the last exponent is the only one.
        several = growth.last_exponent is not None and len(growth.times_ns) > 2  # noqa: PLR2004
        end = f", at the end {over}^{growth.last_exponent:.2f}" if several else ""
        crossed = "".join(
            f"; {'slower' if each.upwards else 'faster'} from about {over} = {units.significant(each.size, 2)} on"
            for each in growth.crossovers
        )
        text = f"time ~ {over}^{found.value:.2f}{between}{end}{crossed}"
        yield from wrapped(text, width, f"{for_line(name).ljust(side)}{GAP}", " " * (side + len(GAP)))


def _reasons(over: str, table: Sizes, width: int) -> Iterator[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for size, rows in table.items():
        for name, row in rows.items():
            if row.why_not:
                found.setdefault((name, row.why_not), []).append(f"{size:.0f}")
    for (name, why), at in found.items():
        yield from wrapped(f"{name}, {over} = {', '.join(at)}: {why}", width, rest="  ")
