"""What a command reports on stderr while it works: lines that stay, and one that comes and goes on a terminal."""

from __future__ import annotations

import sys

import click

_WIDTH = 100


class Progress:
    """Called with ``group: what is going on``; an empty string clears the line. `where` says how far the command is."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self.where = ""
        self._shown = sys.stderr.isatty()

    def __call__(self, what: str) -> None:
        """Show `what`, without the group it is about, in place of what was shown before."""
        if self._shown:
            text = f"{self.where}: {what.partition(': ')[2]}"[:_WIDTH] if what else ""
            click.echo(f"\r\x1b[2K{text}", err=True, nl=False)

    def line(self, text: str) -> None:
        """Write a line that stays."""
        over = "\r\x1b[2K" if self._shown else ""
        click.echo(f"{over}{text}", err=True)
