"""The properties of the terminal, and JSON for programs."""

from __future__ import annotations

import io
import os
import shutil
import sys

import pytest

from pytest_duet.cli.console import Console, Progress, console, print_json


@pytest.mark.parametrize(("columns", "width", "expected"), [(120, None, 120), (40, None, 72), (120, 90, 90)])
def test_the_width_is_the_one_given_or_that_of_the_terminal_but_never_too_narrow(
    monkeypatch: pytest.MonkeyPatch, columns: int, width: int | None, expected: int
) -> None:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda fallback: os.terminal_size((columns, fallback[1])))
    assert expected == console(width).width


def test_a_pipe_in_another_encoding_gets_ascii_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert console(80) == Console(width=80, ascii_only=True, colour=False)


def test_json_is_indented_and_sorted(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"b": 1, "a": [2]})
    assert capsys.readouterr().out == '{\n  "a": [\n    2\n  ],\n  "b": 1\n}\n'


def test_without_a_terminal_only_lasting_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress("group: timing native")
    progress.line("group: done")
    assert ("", "group: done\n") == capsys.readouterr()


def test_on_a_terminal_a_step_is_cut_to_the_width_and_overwritten(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress()
    progress.where = "[1/2] group"
    progress("group: timing native")
    progress("")
    assert "\r\x1b[2K[1/2] group: timing\r\x1b[2K" == capsys.readouterr().err
