"""``duet report``: show a saved run, or put its table into a document.

Not for measuring: it reads what a session saved, judges it anew and renders it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from pytest_duet import __version__
from pytest_duet.analysis.comparison import compare_run
from pytest_duet.errors import StoreError
from pytest_duet.exit_status import Exit
from pytest_duet.records import files, journal, store
from pytest_duet.report import markdown, terminal

if TYPE_CHECKING:
    from pytest_duet.records.schema import RunRecord

BEGIN: Final = "<!-- duet:begin -->"
END: Final = "<!-- duet:end -->"


class StorageFailure(click.ClickException):
    """A file cannot be read or written."""

    exit_code = Exit.STORAGE_FAILED


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", "markdown", "json"]),
    help="How to show it: for reading here (the default), for a document, or for programs.",
)
@click.option("--width", type=click.IntRange(min=terminal.NARROWEST), help="Characters in a line.")
@click.option("-v", "--verbose", count=True, help="Effect sizes, tests, readings and attestations too.")
@click.option("-q", "--quiet", count=True, help="One line a group.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Put the Markdown between {BEGIN} and {END} of this file instead of printing it.",
)
def report(run: Path, form: str | None, width: int | None, verbose: int, quiet: int, into: Path | None) -> None:
    """Show the run saved in RUN (.json), or what a journal (.jsonl) kept of one.

    Its verdicts are derived anew from the rounds it holds. The exit status is 14 where a file cannot be used.
    """
    if into is not None and form not in {None, "markdown"}:
        msg = f"--into takes Markdown, not --format {form}"
        raise click.UsageError(msg)
    try:
        record = _load(run)
        if into is not None:
            splice(into, markdown.render(record, run.stem))
        elif form == "markdown":
            click.echo(markdown.render(record, run.stem), nl=False)
        elif form == "json":
            click.echo(_json(record, run.stem))
        else:
            click.echo(_terminal(record, width, verbose - quiet), nl=False)
    except StoreError as error:
        raise StorageFailure(str(error)) from error


def _load(path: Path) -> RunRecord:
    if path.suffix == ".jsonl":
        content = journal.read(path)
        if content.dropped:
            click.echo(f"{path}: {content.dropped}", err=True)
        record = content.run()
    else:
        record = store.load(path)
    return msgspec.structs.replace(record, comparisons=compare_run(record.groups))


def _terminal(record: RunRecord, width: int | None, verbosity: int) -> str:
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    columns = width or shutil.get_terminal_size(fallback=(100, 24)).columns
    return terminal.render(record, columns, verbosity, colour=sys.stdout.isatty(), ascii_only=encoding != "utf8")


def _json(record: RunRecord, stem: str) -> str:
    document = {
        "run": stem,
        "created": record.created,
        "judged_by": __version__,
        "machine": record.machine,
        "profile": record.profile,
        "mode": record.mode,
        "complete": record.complete,
        "comparisons": record.comparisons,
    }
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2).decode()


def splice(path: Path, text: str) -> None:
    """Replace what stands between the two markers of the file at `path` by `text`, whole or not at all.

    Raises:
        StoreError: the file cannot be read or written, or does not have each marker once and in order.

    """
    target = Path(os.path.realpath(path))  # unlike Path.resolve, it leaves a link in a circle to whoever opens it
    try:
        document = files.read_regular(target).decode()
    except UnicodeDecodeError as error:
        msg = f"{path}: is not UTF-8 ({error.reason}); save it as UTF-8"
        raise StoreError(msg) from error
    if document.count(BEGIN) != 1 or document.count(END) != 1 or document.index(BEGIN) > document.index(END):
        msg = f"{path}: must hold {BEGIN} once and, after it, {END} once; add them where the table belongs"
        raise StoreError(msg)
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    files.write_whole(target, f"{before}{BEGIN}\n{text}{END}{after}".encode())
