"""``duet measure``: time the members that `duet validate` found sound, and leave a run of each group."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.cli.common_options import benches_option, into_option, mode_option, report_members
from pytest_duet.cli.progress import Progress
from pytest_duet.defaults import DATA_CACHE


@click.command("measure")
@click.argument("validations", type=click.Path(path_type=Path), nargs=-1, required=True)
@into_option
@mode_option
@benches_option
def measure(validations: tuple[Path, ...], into: Path, mode: str, benches: Path) -> None:
    """Time and observe the groups in VALIDATIONS, files of `duet validate` or folders of them.

    Writes a run for each group into DIR, for `duet analyse`. The exit status is 1 where a member failed a check; the
    files are written in any case.

    Example: duet measure validated/ --into measured/
    """
    from pytest_duet.measure.mode import MODES
    from pytest_duet.phases.files import found
    from pytest_duet.phases.measure import measure_to_file
    from pytest_duet.phases.validation import SUFFIX, Validation

    folder, progress, members = benches.resolve(), Progress(), []
    for path in found(validations, SUFFIX):
        validation = Validation.read(path)
        progress.where = validation.spec.id
        written, record = measure_to_file(
            validation, MODES[mode], folder, folder.parent / DATA_CACHE, into, progress=progress
        )
        progress.line(f"{validation.spec.id}: {written}")
        members += record.members
    report_members(members)
