"""A column is defined in one place and shown in terminals and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_duet.report.columns import COLUMNS, Column
from pytest_duet.report.formats import markdown, terminal

from .samples import everything, group, member, reference, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def add() -> Iterator[Callable[[Column], None]]:
    """Add a column from outside until the test ends."""
    before = list(COLUMNS)
    yield COLUMNS.append
    COLUMNS[:] = before


def language(**changes: object) -> Column:
    return Column(**{"heading": "lang", "text": lambda row: row.member.language, "markdown": "language", **changes})


def headings(verbosity: int = 0, width: int = 250) -> str:
    return terminal.render(everything(), width, verbosity).splitlines()[1]


def test_an_added_column_is_shown_in_terminal_and_markdown(add: Callable[[Column], None]) -> None:
    add(language())
    lines = terminal.render(everything(), 250).splitlines()
    assert lines[1].endswith("average memory  lang")
    assert [line.split()[-1] for line in lines[2:4]] == ["python", "rust"]
    heading, dashes, first, second, *_ = markdown.render(everything(), "run", "cases").splitlines()
    assert heading.endswith("| peak memory | language |")
    assert dashes.endswith("| ---: | --- |")
    assert (first.endswith("| python |"), second.endswith("| rust |")) == (True, True)


def test_numbers_are_aligned_at_their_right_end(add: Callable[[Column], None]) -> None:
    add(language(right=True))
    lines = terminal.render(everything(), 250).splitlines()
    assert len(lines[1]) == len(lines[2]) == len(lines[3])
    assert markdown.render(everything(), "run", "cases").splitlines()[1].endswith("| ---: |")


def test_a_column_can_be_for_verbose_terminals_only(add: Callable[[Column], None]) -> None:
    add(language(verbosity=1, markdown=""))
    assert ("lang" in headings(), "lang" in headings(1)) == (False, True)
    assert "lang" not in markdown.render(everything(), "run", "cases")


def test_a_narrow_terminal_moves_a_column_to_a_second_line_or_leaves_it_out(add: Callable[[Column], None]) -> None:
    add(language(place="below"))
    text = terminal.render(everything(), 72)
    assert "peak mem 180 MiB, lang python" in " ".join(text.split())
    assert "  cells" not in text


def test_a_column_that_is_empty_in_every_row_is_left_out(add: Callable[[Column], None]) -> None:
    add(language(text=lambda _: "–"))
    assert "lang" not in headings()


def test_the_note_of_a_column_is_below_the_table_where_it_is_shown(add: Callable[[Column], None]) -> None:
    add(language(note="Languages are those of the members."))
    assert "Languages are those of the members." in " ".join(terminal.render(everything(), 250).split())
    assert "Languages" not in terminal.render(everything(), 100)


def test_a_common_label_is_the_heading_and_different_ones_precede_their_values(add: Callable[[Column], None]) -> None:
    add(language(label=lambda row: row.member.name[:1]))
    same = run(group(reference("native.a"), member("native")))
    assert terminal.render(same, 250).splitlines()[1].rstrip().endswith("  n")
    assert headings().endswith("  lang")
    assert markdown.render(everything(), "run", "cases").splitlines()[2].endswith("| s python |")
