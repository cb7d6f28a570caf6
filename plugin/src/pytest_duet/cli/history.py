"""``duet history``: the runs that were saved on this machine, one line each.

Not for what they hold: ``duet report`` shows one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import results_option
from pytest_duet.errors import StoreError
from pytest_duet.records import store
from pytest_duet.report.escape import for_line

if TYPE_CHECKING:
    from pathlib import Path


@click.command("history")
@results_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many, newest first.")
def history(results: Path, limit: int) -> None:
    """List the saved runs of this machine, newest first; what cannot be read is said in its line."""
    paths = store.saved(results, store.machine())
    for path in paths[:limit]:
        click.echo(f"{path}  {_line(path)}")
    rest = f", {len(paths) - limit} more" if len(paths) > limit else ""
    click.echo(f"{len(paths)} {'run' if len(paths) == 1 else 'runs'} of this machine{rest}", err=True)


def _line(path: Path) -> str:
    try:
        found = store.header(path)
    except StoreError as error:
        return str(error).removeprefix(f"{path}: ")
    told = (found.created, found.profile, found.mode, *(() if found.complete else ("interrupted",)))
    return "  ".join(map(for_line, told))
