"""The phases as commands: ``duet plan``, ``build``, ``validate``, ``measure`` and ``analyse``."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from pytest_duet.cli import common_options as shared
from pytest_duet.cli.console import Progress, print_json
from pytest_duet.defaults import DATA_CACHE, RESULTS
from pytest_duet.exit_status import Exit
from pytest_duet.vocabulary import STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytest_duet.records.schema import MemberRecord
    from pytest_duet.spec.suite import Suite

_mode_option: Final = click.option(
    "--mode",
    type=click.Choice(["direct", "paired"]),
    default="direct",
    show_default=True,
    help="direct: Python members run in this process; paired: every member runs in fresh processes.",
)
_into_option: Final = click.option(
    "--into", type=shared.FOLDER, required=True, metavar="DIR", help="Folder to write the files to."
)


@click.command("plan")
@shared.expression_option("Only groups whose id matches, such as 'lasso and not predict'.")
@shared.profile_option("Profile: the size of the data, and how much time a group may take.")
@shared.threads_option
@click.option("--device", default="cpu", show_default=True, help="Device of every member: cpu or cuda:N.")
@click.option("--into", type=shared.FOLDER, metavar="DIR", help="Write a file for each group to DIR.")
@shared.json_option
@shared.suite_option
def plan(
    expression: str, profile: str, threads: int, device: str, into: Path | None, as_json: bool, suite: Suite
) -> None:
    """List the groups that `pytest benches` would run.

    With --into or --json, they are written as data for the next phases. Nothing of a task is imported, built or run. With --json, each group comes with the specs derived from it: the training
    of its checkpoint, the smaller workload of the scaling check, the changed parameters of the effect checks, and the stop
    rules of the time to convergence.

    \b
    Examples: duet plan -k "ridge and train"
              duet plan -k lenet --into plan/ && duet validate plan/ --into validated/
    """  # noqa: D301 - the backspace is click's sign to leave lines as they are
    from pytest_duet.phases.files import write_specs
    from pytest_duet.spec.derived import planned
    from pytest_duet.spec.resolve import group_spec
    from pytest_duet.spec.selectors import expression as means
    from pytest_duet.spec.suite import group_keys

    shared.known("profile", profile, suite.profiles)
    wanted = means(expression)
    specs = [
        group_spec(suite, key, profile, threads=threads, device=device)
        for name, task in suite.tasks.items()
        for key in group_keys(name, task)
        if wanted(str(key))
    ]
    if not specs:
        raise click.UsageError(f"-k: no group of {suite.benches} matches {expression!r}; `duet plan` lists all")
    if into is not None:
        for path in write_specs(specs, into):
            click.echo(path)
    elif as_json:
        print_json([planned(spec) for spec in specs])
    else:
        for spec in specs:
            click.echo(f"{spec.id}: {', '.join(member.name for member in spec.members)}")
    hint = f"; next: duet validate {into} --into DIR" if into else ""
    click.echo(f"{len(specs)} {'group' if len(specs) == 1 else 'groups'}, profile {profile}{hint}", err=True)


@click.command()
@click.argument("frameworks", nargs=-1)
@shared.suite_option
def build(frameworks: tuple[str, ...], suite: Suite) -> None:
    """Build the workers of FRAMEWORKS, by default of every Rust framework.

    They are built in release mode and from the locked versions. One that fails does not stop the others.
    """
    from pytest_duet.phases.build import build_worker

    say = partial(click.echo, err=True)
    buildable = [name for name, each in suite.frameworks.items() if each.language == "rust" and not each.command]
    for name in frameworks:
        shared.known("Rust framework", name, buildable)
    chosen = frameworks or buildable
    failed = [
        name
        for index, name in enumerate(chosen, 1)
        if not build_worker(suite.project, name, f"{index}/{len(chosen)}", say)
    ]
    if failed:
        say(f"duet: not built: {', '.join(failed)}; their cases will be unavailable")
        sys.exit(Exit.FAILED)


@click.command("validate")
@click.argument("specs", type=shared.PATH, nargs=-1, required=True)
@_into_option
@_mode_option
@shared.suite_option
def validate(specs: tuple[Path, ...], into: Path, mode: str, suite: Suite) -> None:
    """Check the members of planned groups before anything is timed.

    SPECS are files of `duet plan` or folders of them. The checks are attestation, parity, quality, scaling and effects. For
    each group, a validation is written to DIR, for `duet measure`. The exit status is 1 if a member failed a check; the
    files are written in any case.

    Example: duet validate plan/ --into validated/
    """
    from pytest_duet.measure.mode import MODES
    from pytest_duet.phases.files import read_specs
    from pytest_duet.phases.validate import validate as run

    progress, failed = Progress(), False
    for spec in read_specs(specs):
        progress.where = spec.id
        names = [member.name for member in spec.members]
        validation = run(spec, names, MODES[mode], suite.benches, suite.project / DATA_CACHE, progress)
        progress.line(f"{spec.id}: {validation.write(into)}")
        failed |= _report_members(each.record for each in validation.document.members)
    _go_on(f"measure {into} --into DIR", failed=failed)


@click.command("measure")
@click.argument("validations", type=shared.PATH, nargs=-1, required=True)
@_into_option
@_mode_option
@shared.suite_option
def measure(validations: tuple[Path, ...], into: Path, mode: str, suite: Suite) -> None:
    """Time the members that passed validation, and observe what they use.

    VALIDATIONS are files of `duet validate` or folders of them. For each group, a run is written to DIR, for `duet
    analyse`. The exit status is 1 if a member failed; the files are written in any case.

    Example: duet measure validated/ --into measured/
    """
    from pytest_duet.measure.mode import MODES
    from pytest_duet.phases.analyse import analyse, now
    from pytest_duet.phases.files import RUN_SUFFIX, VALIDATION_SUFFIX, found, slug
    from pytest_duet.phases.measure import measure as run
    from pytest_duet.phases.validate import Validation
    from pytest_duet.records import files, machine, store

    files.make_folder(into)
    progress, failed, here = Progress(), False, machine.this_machine()
    for path in found(validations, VALIDATION_SUFFIX):
        validation, created = Validation.read(path), now()
        spec = validation.document.spec
        progress.where = spec.id
        record = run(validation, MODES[mode], suite.benches, suite.project / DATA_CACHE, progress=progress)
        written = into / f"{slug(spec)}{RUN_SUFFIX}"
        store.write(analyse([record], here, profile=record.profile, mode=mode, complete=True, created=created), written)
        progress.line(f"{spec.id}: {written}")
        failed |= _report_members(record.members)
    _go_on(f"analyse {into}", failed=failed)


@click.command("analyse")
@click.argument("runs", type=shared.PATH, nargs=-1, required=True)
@click.option("--into", type=shared.PATH, default=RESULTS, show_default=True, help="Folder of saved runs.")
def analyse(runs: tuple[Path, ...], into: Path) -> None:
    """Compare the members of measured groups, and save all groups as one run.

    RUNS are files of `duet measure` or folders of them. Runs of different machines, profiles or modes are never pooled. `duet report` shows a saved run.

    Example: duet analyse measured/ --into results/
    """
    from pytest_duet.phases.analyse import merge
    from pytest_duet.phases.files import RUN_SUFFIX, found
    from pytest_duet.records import store

    run = merge(store.load_different(found(runs, RUN_SUFFIX)))
    path = store.save(run, into)
    verdicts = Counter(comparison.verdict for comparison in run.comparisons)
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "nothing was compared")
    click.echo(f"saved: {path}\nnext: duet report {path}", err=True)


def _report_members(members: Iterable[MemberRecord]) -> bool:
    """Write a line for each member of a group that is not ok, and return whether one of them failed."""
    failed = False
    for member in members:
        if member.status != "ok":
            click.echo(f"  {member.name}: {member.status}: {member.reason}", err=True)
        failed |= STATUSES[member.status].outcome == "failed"
    return failed


def _go_on(command: str, *, failed: bool) -> None:
    """Name the `command` of the next phase, and exit with status 1 if a member `failed`."""
    click.echo(f"next: duet {command}", err=True)
    if failed:
        sys.exit(int(Exit.FAILED))
