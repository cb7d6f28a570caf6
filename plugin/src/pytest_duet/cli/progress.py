"""Progress on stderr while a command works: lines that stay, and on a terminal one line that is overwritten."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pytest_duet.session import Session

_CLEAR = "\r\x1b[2K"


class Progress:
    """Called with ``group: step``; an empty string clears the line. `where` says how far the command is."""

    def __init__(self) -> None:
        self.where = ""
        self._clear = _CLEAR if sys.stderr.isatty() else ""

    def __call__(self, what: str) -> None:
        """Show the step, after `where`, in place of the previous one."""
        if self._clear:
            text = f"{self.where}: {what.partition(': ')[2]}" if what else ""
            click.echo(f"{self._clear}{text[: shutil.get_terminal_size().columns - 1]}", err=True, nl=False)

    def line(self, text: str) -> None:
        """Write a line that stays."""
        click.echo(f"{self._clear}{text}", err=True)

    def save(self, session: Session) -> None:
        """Save the finished groups of `session`, and report the path and what could not be written."""
        path = session.save(session.analysed())
        if path is not None:
            self.line(f"saved: {path}")
        for error in session.errors:
            self.line(f"duet: not saved: {error}")
