"""``duet history``: list the runs that were saved on this machine, one line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import AT_LEAST_ONE, results_option
from pytest_duet.errors import StoreError
from pytest_duet.records import machine, store
from pytest_duet.report.escape import for_line

if TYPE_CHECKING:
    from pathlib import Path


@click.command("history")
@results_option
@click.option("--limit", type=AT_LEAST_ONE, default=20, show_default=True, help="Number of runs to list.")
def history(results: Path, limit: int) -> None:
    """List the saved runs of this machine, newest first.

    The line of a file that cannot be read says why.
    """
    paths = store.saved(results, machine.this_machine())
    for path in paths[:limit]:
        click.echo(f"{path}  {_line(path)}")
    rest = f", {len(paths) - limit} more" if len(paths) > limit else ""
    click.echo(f"{len(paths)} {'run' if len(paths) == 1 else 'runs'} of this machine{rest}", err=True)


def _line(path: Path) -> str:
    try:
        found = store.header(path)
    except StoreError as error:
        return str(error).removeprefix(f"{path}: ")
    shown = (found.created, found.profile, found.mode, *(() if found.complete else ("interrupted",)))
    return "  ".join(map(for_line, shown))
