"""``--help`` of every command: it says what each option is for, in lines that are meant to be read."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pytest_duet.cli import main

COMMANDS = sorted(main.list_commands(click.Context(main)))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_can_be_read(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])

    assert result.exit_code == 0
    assert "\\b" not in result.output
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.name for each in options if not each.help] == []
