"""What the terminal can show, and JSON for programs: the same for every command."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass

import click
import msgspec

from pytest_duet.report.escape import needs_ascii
from pytest_duet.report.text_table import NARROWEST


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
