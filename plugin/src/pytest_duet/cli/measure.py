"""``duet measure``: time the members that `duet validate` found sound, and write a run of each group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import PATH, go_on, into_option, mode_option, report_members, suite_option
from pytest_duet.cli.console import Progress
from pytest_duet.defaults import DATA_CACHE

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.spec.suite import Suite


@click.command("measure")
@click.argument("validations", type=PATH, nargs=-1, required=True)
@into_option
@mode_option
@suite_option
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
        failed |= report_members(record.members)
    go_on(f"analyse {into}", failed=failed)
