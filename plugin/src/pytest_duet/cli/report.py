"""``duet report``: show a saved run, or put its tables into documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from pytest_duet.analysis.comparison import compare_run
from pytest_duet.cli.common_options import PATH, known
from pytest_duet.cli.console import console
from pytest_duet.errors import StoreError
from pytest_duet.records import files, journal, store
from pytest_duet.report import formats
from pytest_duet.report.formats import markdown
from pytest_duet.report.markers import BEGIN, END, fill
from pytest_duet.report.text_table import NARROWEST

if TYPE_CHECKING:
    from pytest_duet.records.schema import RunRecord

_DEFAULT: Final = "terminal"


class _FormatOption(click.Option):
    """``--format``, with the choices and the help of the registered formats, which are looked up on demand."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:  # noqa: ARG002 - click's signature
        each = "; ".join(f"{name} {format_.purpose}" for name, format_ in formats.available().items())
        return f"--format [{'|'.join(formats.available())}]", f"{each}.  [default: {_DEFAULT}]"

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        if value is not None:
            known("format", value, formats.available())
        return super().type_cast_value(ctx, value)


@click.command("report")
@click.argument("run", type=PATH)
@click.option("--format", "chosen", cls=_FormatOption, help="How to show it.")
@click.option("--width", type=click.IntRange(min=NARROWEST), help="Characters per line.")
@click.option("-v", "--verbose", count=True, help="Effect sizes, tests, readings and attestations too.")
@click.option("-q", "--quiet", count=True, help="One line per group.")
@click.option(
    "--into",
    "documents",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Put the Markdown between {BEGIN} and {END} of this file instead of printing it; the markers may name a "
    f"section: {', '.join(filter(None, markdown.SECTIONS))}. May be repeated.",
)
def report(
    run: Path, chosen: str | None, width: int | None, verbose: int, quiet: int, documents: tuple[Path, ...]
) -> None:
    """Show a saved run, or write its tables into documents.

    RUN is a saved run (.json) or the journal (.jsonl) of an unfinished one. Verdicts are derived again from the rounds in
    the file. The exit status is 14 if a file cannot be used.
    """
    if documents and chosen not in {None, "markdown"}:
        raise click.UsageError(f"--into takes Markdown, not --format {chosen}")
    record = _load(run)
    if documents:
        _put_into(documents, record, run.stem)
        return
    shown = console(width)
    options = formats.Options(run.stem, shown.width, verbose - quiet, shown.colour, shown.ascii_only)
    click.echo(formats.available()[chosen or _DEFAULT].render(record, options), nl=False)


def _load(path: Path) -> RunRecord:
    if path.suffix == ".jsonl":
        content = journal.read(path)
        if content.dropped:
            click.echo(f"{path}: {content.dropped}", err=True)
        record = content.run()
    else:
        record = store.load(path)
    return msgspec.structs.replace(record, comparisons=compare_run(record.groups))


def _put_into(documents: tuple[Path, ...], record: RunRecord, stem: str) -> None:
    """Put the sections that each document asks for between its markers; write nothing if one of them cannot be used.

    Raises:
        StoreError: a file cannot be read or written, or its markers are not as they must be.
    """
    filled = {}
    for path in documents:
        # Unlike Path.resolve, this leaves a circular link to fail when it is opened.
        target = Path(os.path.realpath(path))
        try:
            text = files.read_regular(target).decode()
            filled[target] = fill(text, markdown.SECTIONS, lambda section: markdown.render(record, stem, section))
        except UnicodeDecodeError as error:
            raise StoreError(f"{path}: is not UTF-8 ({error.reason}); save it as UTF-8") from error
        except ValueError as error:
            raise StoreError(f"{path}: {error}") from error
    for target, text in filled.items():
        files.write_whole(target, text.encode())
