"""Options and checks that several commands share."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from pytest_duet.defaults import PROFILE, RESULTS
from pytest_duet.errors import SpecError, nearest
from pytest_duet.exit_status import Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_duet.ids import GroupKey
    from pytest_duet.spec.suite import Suite

_F = TypeVar("_F", bound="Callable[..., Any]")

PATH: Final = click.Path(path_type=Path)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)
AT_LEAST_ONE: Final = click.IntRange(min=1)


def _suite(_context: click.Context, _option: click.Parameter, benches: Path) -> Suite:
    from pytest_duet.spec.suite import load_suite

    return load_suite(benches.resolve())


def _expression(_context: click.Context, _option: click.Parameter, text: str) -> str:
    from pytest_duet.spec.selectors import expression

    with usage("-k: "):
        expression(text)
    return text


def profile_option(help_text: str) -> Callable[[_F], _F]:
    """Return the option ``--profile``; `help_text` says what it sets for this command."""
    return click.option("--profile", default=PROFILE, show_default=True, metavar="NAME", help=help_text)


def expression_option(help_text: str) -> Callable[[_F], _F]:
    """Return the option ``-k``, an expression as in pytest."""
    return click.option("-k", "expression", default="", metavar="EXPRESSION", callback=_expression, help=help_text)


suite_option: Final = click.option(
    "--benches",
    "suite",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default="benches",
    show_default=True,
    callback=_suite,
    help="Folder with the spec files.",
)
threads_option: Final = click.option(
    "--threads", default=1, show_default=True, type=AT_LEAST_ONE, help="Threads of every member."
)
results_option: Final = click.option(
    "--results", type=PATH, default=RESULTS, show_default=True, help="Folder of saved runs."
)
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def give_up(why: object, *, advisory: bool) -> NoReturn:
    """Exit from a gate that lacks a run, a baseline or a commit: it cannot decide, or passes if it is `advisory`."""
    click.echo(f"Error: {why}", err=True)
    sys.exit(int(Exit.PASSED if advisory else Exit.CANNOT_DECIDE))


@contextmanager
def usage(prefix: str = "") -> Iterator[None]:
    """Turn a `SpecError` into a usage error whose message starts with `prefix`."""
    try:
        yield
    except SpecError as error:
        raise click.UsageError(f"{prefix}{error}") from error


def known(what: str, name: str, there_are: Iterable[str]) -> None:
    """Check that `name` exists.

    Raises:
        UsageError: it does not exist; the message names the nearest name that does.
    """
    names = list(there_are)
    if name not in names:
        raise click.UsageError(f"unknown {what} {name!r}{nearest(name, names)}")


def groups_of(suite: Suite, task: str, algorithm: str, phase: str = "", workload: str = "") -> list[GroupKey]:
    """Return the groups of an algorithm, all phases and workloads where these are empty.

    Raises:
        UsageError: there is no such task, algorithm, phase or workload.
    """
    from pytest_duet.spec.suite import group_keys

    known("task", task, suite.tasks)
    known("algorithm", algorithm, suite.tasks[task].algorithms)
    keys = [key for key in group_keys(task, suite.tasks[task]) if key.algorithm == algorithm]
    for what, name in (("phase", phase), ("workload", workload)):
        if name:
            known(what, name, dict.fromkeys(getattr(key, what) for key in keys))
            keys = [key for key in keys if getattr(key, what) == name]
    return keys
