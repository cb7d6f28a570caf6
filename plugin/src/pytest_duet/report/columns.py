"""The columns of the verdict table, for terminals and Markdown alike.

To add a column, add an entry to `COLUMNS`, from this module or from outside. Nothing else needs to change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from pytest_duet.report import formatting
from pytest_duet.report.escape import for_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_duet.report.model import Row


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column; its width is that of its longest text. A terminal leaves out one that is empty in every row.

    Attributes:
        text: the text of a row, `formatting.NOTHING` where there is none; it need not be escaped.
        place: where a terminal is too narrow, the column is shown all the same, on a second line, or not at all.
        verbosity: the least verbosity at which a terminal shows it.
        untimed: whether it also holds something for members that were checked and not timed.
        label: what the text of a row is, where rows differ in that; it is the heading where they do not.
        note: a sentence below a terminal's table that explains the column.
        colours: the ANSI colour codes of some of its texts.
        markdown: the heading in Markdown, which leaves out a column that has none.
        markdown_text: the text in Markdown where it is another one.
    """

    heading: str
    text: Callable[[Row], str]
    right: bool = False
    place: Literal["always", "below", "spare"] = "spare"
    verbosity: int = 0
    untimed: bool = False
    label: Callable[[Row], str] | None = None
    note: str = ""
    colours: Mapping[str, str] = field(default_factory=dict)
    markdown: str = ""
    markdown_text: Callable[[Row], str] | None = None

    def heading_over(self, rows: Iterable[Row]) -> str:
        """Return the heading of a table that has `rows`."""
        labels = {self.label(row) for row in rows if row.shown} - {""} if self.label else set()
        return for_line(labels.pop()) if len(labels) == 1 else self.heading

    def named(self, row: Row) -> str:
        """Return the text of `row` after what it is, for where no heading is above it; nothing where there is none."""
        text = self.text(row)
        name = (self.label(row) if self.label else "") or self.heading
        return "" if text == formatting.NOTHING else f"{name} {text}"

    def in_markdown(self, row: Row) -> str:
        """Return the text of `row` for Markdown, whose headings are the same for all tables."""
        if self.label:
            return self.named(row) or formatting.NOTHING
        return (self.markdown_text or self.text)(row)


MEMBER: Final = Column("", lambda row: row.member.name, place="always", untimed=True, markdown="framework")
VERDICT: Final = Column(
    "verdict",
    formatting.verdict,
    place="always",
    colours={"faster": "32", "slower": "31", "inconclusive": "33", "not comparable": "35"},
    markdown="verdict",
    markdown_text=lambda row: f"{formatting.verdict(row)} {formatting.against(row)}".rstrip(),
)

_PEAK: Final = partial(formatting.reading, metric="peak_memory")
_SMALLEST: Final = "The smallest change is the least that the interval would have shown."

COLUMNS: Final = [
    MEMBER,
    Column("time", formatting.time, right=True, place="always", markdown="time"),
    Column("speed-up [95 %]", formatting.speed_up, place="always", markdown="speed-up [95 % interval]"),
    VERDICT,
    Column("parity", lambda row: formatting.held(row.parity), place="below", untimed=True, markdown="parity"),
    Column(
        "quality",
        formatting.quality,
        right=True,
        place="below",
        untimed=True,
        label=lambda row: row.quality.metric if row.quality else "",
        markdown="quality",
    ),
    Column("peak mem", _PEAK, right=True, place="below", markdown="peak memory"),
    Column("cells", lambda row: str((row.shown and len(row.member.cells)) or formatting.NOTHING), right=True),
    Column("smallest change", formatting.smallest_change, right=True, note=_SMALLEST),
    Column("cpu", partial(formatting.reading, metric="cpu_utilisation"), right=True),
    Column("average memory", partial(formatting.reading, metric="average_memory"), right=True),
]
"""In their order; a terminal shows those that are always shown first and those that it can spare last."""
