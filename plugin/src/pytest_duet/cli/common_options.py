"""What commands ask alike: where the spec files are, and whether a name is one of theirs.

Not for any one command.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from pytest_duet.defaults import RESULTS
from pytest_duet.errors import nearest
from pytest_duet.exit_status import Exit
from pytest_duet.vocabulary import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_duet.records.schema import MemberRecord

benches_option: Final = click.option(
    "--benches",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="benches",
    show_default=True,
    help="Folder with the spec files.",
)
threads_option: Final = click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(min=1), help="Threads of every member."
)
results_option: Final = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=RESULTS,
    show_default=True,
    help="Saved runs.",
)
json_option: Final = click.option(
    "--json", "as_json", is_flag=True, help="Print numbers for a program instead of a table."
)


mode_option: Final = click.option(
    "--mode",
    type=click.Choice(["direct", "paired"]),
    default="direct",
    show_default=True,
    help="Where members run: Python in this process, or every member in fresh processes.",
)
into_option: Final = click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="DIR", help="Where files go."
)


def report_members(members: Iterable[MemberRecord]) -> None:
    """Write a line for each member that is not ok, and end with status 1 where one of them failed."""
    failed = False
    for member in members:
        if member.status != "ok":
            click.echo(f"{member.name}: {member.status}: {member.reason}", err=True)
        failed |= STATUSES[member.status].outcome == "failed"
    if failed:
        sys.exit(int(Exit.FAILED))


def give_up(why: object, *, advisory: bool) -> NoReturn:
    """End a gate that has nothing to decide by: a run, a baseline or a commit is not to be had. An `advisory` one passes."""
    click.echo(f"Error: {why}", err=True)
    sys.exit(int(Exit.PASSED if advisory else Exit.CANNOT_DECIDE))


def known(what: str, name: str, there_are: Iterable[str]) -> None:
    """Refuse a name that there is not.

    Raises:
        UsageError: with the nearest that there is.

    """
    names = list(there_are)
    if name not in names:
        raise click.UsageError(f"unknown {what} {name!r}{nearest(name, names)}")
