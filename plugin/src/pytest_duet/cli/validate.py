"""``duet validate``: check the groups of a plan before anything is timed, and leave the result in files."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.cli.common_options import benches_option, into_option, mode_option, report_members
from pytest_duet.cli.progress import Progress
from pytest_duet.defaults import DATA_CACHE


@click.command("validate")
@click.argument("specs", type=click.Path(path_type=Path), nargs=-1, required=True)
@into_option
@mode_option
@benches_option
def validate(specs: tuple[Path, ...], into: Path, mode: str, benches: Path) -> None:
    """Check the groups in SPECS (files of `duet plan`): attestation, quality, parity, scaling and effects.

    Writes a validation for each group into DIR, for `duet measure`. The exit status is 1 where a member failed a check;
    the files are written in any case.

    Example: duet validate plan/*.spec.json --into validated/
    """
    from pytest_duet.measure.mode import MODES
    from pytest_duet.phases.files import read_specs
    from pytest_duet.phases.validate import validate as run

    folder, progress, members = benches.resolve(), Progress(), []
    for spec in read_specs(specs):
        progress.where = spec.id
        names = [member.name for member in spec.members]
        validation = run(spec, names, MODES[mode], folder, folder.parent / DATA_CACHE, progress)
        progress.line(f"{spec.id}: {validation.write(into)}")
        members += list(validation.members.values())
    report_members(members)
