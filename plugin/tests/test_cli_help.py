"""``--help`` of every command describes every option, and a call without arguments ends with a usage error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from pytest_duet.cli import main

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = sorted(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_describes_each_option(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0
    assert "\\b" not in result.output
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []


def test_the_list_of_commands_starts_with_the_phases_and_shows_their_whole_summaries() -> None:
    result = CliRunner().invoke(main, ["--help"], terminal_width=100)

    listed = [line.split(maxsplit=1) for line in result.output.partition("Commands:\n")[2].splitlines()]
    assert ["plan", "build", "validate", "measure", "analyse", "report"] == [name for name, _ in listed[:6]]
    assert [] == [name for name, summary in listed[:6] if summary.endswith("...")]


NEEDS_ARGUMENTS = ["validate", "measure", "analyse", "report", "stats", "compare", "baseline", "gate", "ab", "scale"]


@pytest.mark.parametrize("name", [*NEEDS_ARGUMENTS, "learn", "job", "serve", "serve-forks", "no-such-command"])
def test_a_command_without_its_arguments_is_a_usage_error(name: str) -> None:
    result = CliRunner().invoke(main, [name])

    assert 2 == result.exit_code
    assert "Error: " in result.stderr


def test_unreadable_spec_files_give_one_line_and_status_4(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["plan", "--benches", str(tmp_path)])

    assert (4, 1) == (result.exit_code, len(result.stderr.splitlines())), result.output
    assert "frameworks.toml" in result.stderr
