"""How time grows with size, as plain text: times, speed-ups, exponents and crossovers, each where it can be compared.

Not for fitting (``stats.growth``), and not for one size: ``terminal`` shows that.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.report import formatting
from pytest_duet.report.escape import for_ascii, for_line
from pytest_duet.report.model import build
from pytest_duet.stats.scaling import Ratio, crossovers, exponent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_duet.records.schema import RunRecord
    from pytest_duet.report.model import Row

Sizes = dict[float, dict[str, "Row"]]
"""Of each size the rows of its table, by member."""

_GAP: Final = "  "


def document(run: RunRecord, over: str, sizes: Sequence[int]) -> dict[str, object]:
    """Return what the table shows as plain numbers: times in ns, ratios of time, exponents with their intervals."""
    table = _by_size(run, sizes)
    members = {}
    for name in _names(table):
        times = _times(table, name)
        whole = exponent(list(times), list(times.values()))
        members[name] = {
            "time_ns": {str(size): time for size, time in times.items()},
            "ratio": {str(each.size): [each.value, each.low, each.high] for each in _ratios(table, name)},
            "exponent": [whole.value, whole.low, whole.high],
            "exponent_at_the_end": _last(times),
            "why_not": {
                str(size): rows[name].why_not for size, rows in table.items() if name in rows and rows[name].why_not
            },
        }
    return {"over": over, "sizes": list(sizes), "members": members}


def render(run: RunRecord, over: str, sizes: Sequence[int], width: int, *, ascii_only: bool = False) -> str:
    """Return times and speed-ups by size, `over` being what grows, and below them how each member grows."""
    table = _by_size(run, sizes)
    first = run.groups[0]
    names = _names(table)
    rivals = [name for name in names if any(name in rows and rows[name].comparison for rows in table.values())]
    lines = [f"{first.task} · {first.algorithm} · {first.phase} · {first.workload}: time of a call as {over} grows", ""]
    lines += _grid(over, table, names, width, formatting.time)
    if rivals:
        lines += ["", "speed-up [95 %], time of the reference over time of this one", ""]
        lines += _grid(over, table, rivals, width, formatting.speed_up)
    lines += ["", *_growth(over, table, names, width), *_reasons(over, table, width)]
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return for_ascii(text) if ascii_only else text


def _by_size(run: RunRecord, sizes: Sequence[int]) -> Sizes:
    tables = build(run).tables
    return {
        float(size): {row.member.name: row for row in table.rows} for size, table in zip(sizes, tables, strict=False)
    }


def _names(table: Sizes) -> list[str]:
    return list(dict.fromkeys(name for rows in table.values() for name in rows))


def _times(table: Sizes, name: str) -> dict[float, float]:
    return {size: rows[name].time_ns or 0.0 for size, rows in table.items() if name in rows and rows[name].time_ns}


def _ratios(table: Sizes, name: str) -> list[Ratio]:
    found = []
    for size, rows in table.items():
        comparison = rows[name].comparison if name in rows else None
        if comparison and comparison.ratio and comparison.interval:
            found.append(Ratio(size, comparison.ratio, comparison.interval.low, comparison.interval.high))
    return found


def _last(times: dict[float, float]) -> float | None:
    """Return the exponent between the two largest sizes: small ones are bent by what calling costs."""
    ends = list(times.items())[-2:]
    return exponent([size for size, _ in ends], [time for _, time in ends]).value


def _grid(over: str, table: Sizes, names: Sequence[str], width: int, cell: Callable[[Row], str]) -> Iterator[str]:
    """Yield a table of sizes by members, in several parts where it is too wide."""
    head = [over, *(f"{size:.0f}" for size in table)]
    columns = [
        [
            for_line(name),
            *(for_line(cell(rows[name])) if name in rows else formatting.NOTHING for rows in table.values()),
        ]
        for name in names
    ]
    side = max(map(len, head))
    while columns:
        part: list[list[str]] = []
        used = side
        while columns and (not part or used + len(_GAP) + _wide(columns[0]) <= width):
            used += len(_GAP) + _wide(columns[0])
            part.append(columns.pop(0))
        for line, label in enumerate(head):
            yield _GAP.join([label.rjust(side), *(column[line].rjust(_wide(column)) for column in part)])
        if columns:
            yield ""


def _wide(column: Sequence[str]) -> int:
    return max(map(len, column))


def _growth(over: str, table: Sizes, names: Sequence[str], width: int) -> Iterator[str]:
    side = max(map(len, names))
    for name in names:
        times = _times(table, name)
        whole = exponent(list(times), list(times.values()))
        if whole.value is None:
            continue
        between = f" [{whole.low:.2f}, {whole.high:.2f}]" if whole.low is not None and whole.high is not None else ""
        last = _last(times)
        end = f", at the end {over}^{last:.2f}" if last is not None and len(times) > 2 else ""  # noqa: PLR2004 - else the same
        crossed = "".join(
            f"; {_crossed(over, each.size, upwards=each.upwards)}" for each in crossovers(_ratios(table, name))
        )
        text = f"{for_line(name).ljust(side)}{_GAP}time ~ {over}^{whole.value:.2f}{between}{end}{crossed}"
        yield from textwrap.wrap(text, width, subsequent_indent=" " * (side + len(_GAP)))


def _crossed(over: str, size: float, *, upwards: bool) -> str:
    return f"{'slower' if upwards else 'faster'} from about {over} = {units.significant(size, 2)} on"


def _reasons(over: str, table: Sizes, width: int) -> Iterator[str]:
    """Yield why members are missing at some sizes, once for each reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for size, rows in table.items():
        for name, row in rows.items():
            if row.why_not:
                found.setdefault((name, row.why_not), []).append(f"{size:.0f}")
    for (name, why), at in found.items():
        yield from textwrap.wrap(for_line(f"{name}, {over} = {', '.join(at)}: {why}"), width, subsequent_indent="  ")
