"""What the terminal can show, progress while a command works, and JSON for programs."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import msgspec

from pytest_duet.report.escape import needs_ascii
from pytest_duet.report.text_table import NARROWEST

if TYPE_CHECKING:
    from pytest_duet.session import Session

_CLEAR = "\r\x1b[2K"


@dataclass(frozen=True, slots=True)
class Console:
    """What standard output can show; `width` is in characters."""

    width: int
    ascii_only: bool
    colour: bool


def console(width: int | None = None) -> Console:
    """Return what standard output can show, `width` characters wide instead of as wide as the terminal where given."""
    columns = width or shutil.get_terminal_size(fallback=(100, 24)).columns
    return Console(max(columns, NARROWEST), needs_ascii(sys.stdout.encoding), sys.stdout.isatty())


def print_json(document: object) -> None:
    """Print `document` as JSON, indented, and the same for the same content."""
    click.echo(msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2))


class Progress:
    """Progress on stderr: lines that stay, and on a terminal one line that is overwritten.

    Called with ``group: step``; an empty string clears the line. `where` says how far the command is.
    """

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
