"""The verdict table in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_duet.report.formats.terminal import render
from pytest_duet.report.text_table import NARROWEST

from .samples import everything, group, member, reference, run, without_numbers

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


@pytest.mark.parametrize(("width", "verbosity"), [(100, 0), (200, 0), (72, 0), (100, -1), (100, 1)])
def test_the_table_of_everything(width: int, verbosity: int, snapshot: SnapshotAssertion) -> None:
    assert snapshot == render(everything(), width, verbosity)


def test_the_table_in_ascii(snapshot: SnapshotAssertion) -> None:
    text = render(everything(), 100, ascii_only=True)
    assert text.isascii()
    assert snapshot == text


def test_an_interrupted_run_says_so(snapshot: SnapshotAssertion) -> None:
    assert snapshot == render(run(group(reference(), member("native", 0.5e6)), complete=False, mode="paired"), 100)


def test_an_empty_run_has_a_report(snapshot: SnapshotAssertion) -> None:
    assert snapshot == render(run(), 100)


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
@pytest.mark.parametrize("width", [1, NARROWEST, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int, verbosity: int) -> None:
    lines = render(everything(), width, verbosity).splitlines()
    assert [line for line in lines if len(line) > max(width, NARROWEST)] == []


def test_a_column_lines_up_over_all_groups() -> None:
    headings = [line for line in render(everything(), 100).splitlines() if "verdict  " in line]
    assert len({line.index("verdict") for line in headings}) == 1


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_a_failed_member_shows_no_speed(verbosity: int) -> None:
    fast = member("cheat", 1234.0, status="failed", reason="parity: output y is wrong")
    text = render(run(group(reference(), fast)), 100, verbosity)
    assert "1.23 us" not in text
    assert "x [" not in text
    assert "cheat" in text


def test_a_skipped_member_keeps_its_whole_reason_and_its_reproducer() -> None:
    reason = " ".join(f"word{number}" for number in range(60))
    skipped = without_numbers("linfa", "skipped", reason, reproducer="docs/known.md#x")
    words = render(run(group(reference(), skipped)), 80).split()
    assert [word for word in words if word.startswith("word")][:60] == reason.split()
    assert "docs/known.md#x" in words


def test_colour_changes_nothing_but_colour() -> None:
    plain, coloured = render(everything(), 100), render(everything(), 100, colour=True)
    assert "\x1b[32mfaster" in coloured
    for code in ("\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[35m", "\x1b[0m"):
        coloured = coloured.replace(code, "")
    assert [line.split() for line in coloured.splitlines()] == [line.split() for line in plain.splitlines()]


def test_without_colour_there_is_no_escape_code() -> None:
    assert not set(render(everything(), 100, 1)) & {"\x1b", "\u202e", "\r"}


def test_a_hostile_task_name_stays_on_its_line() -> None:
    text = render(run(group(reference(), task="evil\n::error::\x1b]0;title\x07", flags=["a\nb"])), 100)
    assert text.splitlines()[0].startswith("evil ::error::?]0;title? · ridge")
    assert "  flag: a b" in text.splitlines()
