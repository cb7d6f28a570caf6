"""Padding, wrapping and ending a page of plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.report.text_table import page, table, wrapped


def test_columns_are_as_wide_as_their_longest_text() -> None:
    rows = [("name", "time"), ("a", "12.5 ms"), ("longer", "1 s")]
    assert table(rows, [False, True]) == ["name       time", "a       12.5 ms", "longer      1 s"]


def test_a_row_with_another_number_of_texts_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        table([("a", "b"), ("c",)], [False, False])


def test_intervals_and_numbers_with_units_are_not_broken() -> None:
    assert wrapped("it took 12.5 ms", 12) == ["it took", "    12.5 ms"]
    assert wrapped("ratio [1.2, 1.3]", 12, rest="") == ["ratio", "[1.2, 1.3]"]


def test_a_deep_indent_leaves_room_for_words() -> None:
    assert wrapped("aa bb cc dd", 8, rest=" " * 7) == ["aa bb cc", "    dd"]


def test_hostile_text_stays_on_its_line() -> None:
    assert wrapped("a\n\x1b[31mb", 80) == ["a ?[31mb"]


def test_nothing_is_one_empty_line() -> None:
    assert wrapped("", 80) == [""]


@given(st.lists(st.text("abc", min_size=1, max_size=9), min_size=1), st.integers(20, 60))
def test_no_line_is_wider_than_asked_and_no_word_is_lost(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words), width)
    assert max(map(len, lines)) <= width
    assert words == " ".join(lines).split()


def test_a_page_ends_with_one_newline_and_no_line_with_spaces() -> None:
    assert page(["a  ", "", "b ≤ c", "", ""]) == "a\n\nb ≤ c\n"
    assert page(["b ≤ c"], ascii_only=True) == "b <= c\n"
