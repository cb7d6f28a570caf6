"""``duet validate``: check the groups of a plan before anything is timed, and write the results to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import PATH, go_on, into_option, mode_option, report_members, suite_option
from pytest_duet.cli.console import Progress
from pytest_duet.defaults import DATA_CACHE

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.spec.suite import Suite


@click.command("validate")
@click.argument("specs", type=PATH, nargs=-1, required=True)
@into_option
@mode_option
@suite_option
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
        failed |= report_members(each.record for each in validation.document.members)
    go_on(f"measure {into} --into DIR", failed=failed)
