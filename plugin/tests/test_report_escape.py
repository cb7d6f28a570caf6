"""Hostile text stays plain text wherever it is shown."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.report.escape import for_ascii, for_line, for_markdown, needs_ascii


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain ≤ text", "plain ≤ text"),
        ("\x1b[31mred\x1b[0m", "?[31mred?[0m"),
        ("one\ntwo\r\nthree\tfour", "one two three four"),
        ("abc\u202etxt.exe", "abc?txt.exe"),
        ("bell\x07 csi\x9b2J nul\x00", "bell? csi?2J nul?"),
        ("zero\u200bwidth\ufeff", "zero?width?"),
        ("\ud800", "?"),
    ],
)
def test_a_line_holds_no_control_characters(text: str, expected: str) -> None:
    assert expected == for_line(text)


@given(st.text())
def test_no_text_has_hidden_characters_after_escaping(text: str) -> None:
    line = for_line(text)
    assert not [letter for letter in line if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}]
    assert line == for_line(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b", "a &#124; b"),
        ("<script>", "&lt;script&gt;"),
        ("*bold* `code` [x](y)", r"\*bold\* \`code\` \[x\](y)"),
        ("![x](https://evil.example)", r"!\[x\](https:&#47;/evil.example)"),
        ("<!-- duet:end -->", "&lt;!-- duet:end --&gt;"),
        ("row\n| injected |", "row &#124; injected &#124;"),
        ("back\\slash & more", r"back\\slash &amp; more"),
    ],
)
def test_markdown_is_literal_and_stays_in_its_field(text: str, expected: str) -> None:
    assert expected == for_markdown(text)


@given(st.text())
def test_no_text_breaks_out_of_a_markdown_table(text: str) -> None:
    escaped = for_markdown(text)
    assert not set("|<>\n") & set(escaped)


@given(st.text())
def test_ascii_text_is_ascii(text: str) -> None:
    assert for_ascii(text).isascii()


def test_common_signs_have_a_counterpart_in_ascii() -> None:
    assert for_ascii("3e-15 ≤ 1e-10 · ×2 – µs ü") == "3e-15 <= 1e-10 - x2 - us ?"


@pytest.mark.parametrize(("encoding", "expected"), [("utf-8", False), ("UTF8", False), ("latin-1", True), (None, True)])
def test_only_unicode_encodings_show_more_than_ascii(encoding: str | None, *, expected: bool) -> None:
    assert expected == needs_ascii(encoding)
