"""``duet gate`` and ``duet compare``: compare a saved run with earlier ones, and end with an exit status for CI."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click
import msgspec

from pytest_duet.analysis import margins
from pytest_duet.analysis.baseline import changes
from pytest_duet.analysis.gate import decide, exit_status
from pytest_duet.cli.common_options import PATH, give_up, json_option, usage
from pytest_duet.cli.console import console, print_json
from pytest_duet.errors import StoreError
from pytest_duet.records import baselines, machine
from pytest_duet.report import changes as pages
from pytest_duet.report import explain as reasons
from pytest_duet.spec.selectors import matches, unmatched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.records.baselines import Baseline
    from pytest_duet.records.summaries import RunSummary


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that ``gate`` and ``compare`` share."""
    margin = (
        "The margin of the cases that PATTERN matches ('cnn/*=10%'); or mean:5%, the slowdown above which to alarm. "
        "May be repeated."
    )
    missing = "Cases that may be missing ('*/candle'). May be repeated."
    added = (
        click.option("--margin", multiple=True, metavar="PATTERN=5%", help=margin),
        click.option("--allow-missing", multiple=True, metavar="PATTERN", help=missing),
        click.option("--advisory", is_flag=True, help="Exit with 0 instead of 11 (cannot decide)."),
        click.option("--explain", metavar="PATTERN", help="Explain how the decisions on these cases came about."),
        json_option,
    )
    for each in reversed(added):
        command = each(command)
    return command


@click.command("gate")
@click.argument("run", type=PATH)
@click.argument("second", type=PATH, required=False)
@click.option(
    "--baseline",
    "baseline_paths",
    type=PATH,
    multiple=True,
    required=True,
    help="A file of `duet baseline`, a saved run, or a folder of them. May be repeated.",
)
@_options
def gate(run: Path, second: Path | None, baseline_paths: tuple[Path, ...], **options: Any) -> None:
    """Compare RUN with a baseline of earlier runs on this machine, for a CI job.

    SECOND, a run of the same code, confirms or clears the alarms of RUN. RUN, SECOND and the baseline may be saved by pytest-duet, pytest-benchmark, hyperfine or pyperf. The table shows the
    cases that did not pass. The exit status is 10 for a regression, 11 where the gate cannot decide, 12 for invalid
    results, else 0.
    """
    _compare(run, second, baseline_paths, all_cases=False, **options)


@click.command("compare")
@click.argument("base", type=PATH, nargs=-1, required=True)
@click.argument("head", type=PATH)
@_options
def compare(base: tuple[Path, ...], head: Path, **options: Any) -> None:
    """Compare the run HEAD with the runs BASE.

    They are files or folders saved by pytest-duet, pytest-benchmark, hyperfine or pyperf. With one run as BASE there are two numbers and no verdict: how much runs differ by chance is unknown, so the exit status
    is 11. With ten or more runs in BASE there are intervals and verdicts.
    """
    _compare(head, None, base, all_cases=True, **options)


def _compare(
    run: Path,
    second: Path | None,
    baseline_paths: Sequence[Path],
    *,
    margin: Sequence[str],
    allow_missing: Sequence[str],
    advisory: bool,
    explain: str | None,
    as_json: bool,
    all_cases: bool,
) -> NoReturn:
    """Compare `run` with the runs at `baseline_paths`, print the decisions, and exit with the status they give.

    Patterns that match no case are reported: they may be typos, or meant for another job.
    """
    with usage("--margin: "):
        given = margins.parse(margin)
    try:
        head = baselines.load_summary(run)
        again = baselines.load_summary(second) if second else None
        found = _earlier(baseline_paths, head, again)
    except StoreError as error:
        give_up(error, advisory=advisory)
    changed = changes(head, found, given, second=again)
    names = [each.case for each in changed]
    patterns = [pattern for pattern, _ in given.given]
    for line in [*unmatched("--margin", patterns, names), *unmatched("--allow-missing", allow_missing, names)]:
        click.echo(line, err=True)
    decisions = [decide(each, allow_missing) for each in changed]
    status = exit_status(decisions, advisory=advisory)
    if as_json:
        cases = [{"decision": each.decision, "why": each.why, **msgspec.to_builtins(each.change)} for each in decisions]
        print_json({"exit_status": int(status), "cases": cases})
        sys.exit(int(status))
    if explain is not None:
        _explain(decisions, explain)
    shown = console()
    text = pages.render(
        decisions, shown.width, status, all_cases=all_cases, advisory=advisory, ascii_only=shown.ascii_only
    )
    click.echo(text, nl=False)
    sys.exit(int(status))


def _earlier(baseline_paths: Sequence[Path], head: RunSummary, again: RunSummary | None) -> Baseline:
    """Return the baseline without the runs that are compared with it."""
    if again is not None and again.digest == head.digest:
        raise StoreError(f"{again.source}: is the same run, which confirms nothing; measure a second time")
    found = baselines.load(baseline_paths, machine.this_machine())
    digests = {each.digest for each in (head, again) if each}
    kept = [each for each in found.runs if each.digest not in digests]
    if not kept:
        names = ", ".join(map(str, baseline_paths))
        raise StoreError(f"{names}: holds no run but the one to compare; name earlier ones")
    return msgspec.structs.replace(found, runs=kept)


def _explain(decisions: Sequence[Decided], pattern: str) -> None:
    chosen = [each for each in decisions if matches(pattern, each.change.case)]
    if not chosen:
        (message,) = unmatched("--explain", [pattern], [each.change.case for each in decisions])
        raise click.UsageError(message)
    for each in chosen:
        click.echo("\n".join([*reasons.of_decision(each), ""]))
