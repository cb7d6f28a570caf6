"""``duet baseline``: save runs as a baseline for later ones."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.analysis.baseline import ENOUGH_RUNS
from pytest_duet.cli.common_options import PATH
from pytest_duet.records import baselines, machine


@click.command("baseline")
@click.argument("runs", type=PATH, nargs=-1, required=True)
@click.option("--into", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
def baseline(runs: tuple[Path, ...], into: Path) -> None:
    """Summarise RUNS in a small file, the baseline of later runs.

    RUNS are saved runs, folders of them, or earlier baselines. A baseline holds one number for each case of each run, the digest of each run, and a digest of itself.

    Example: duet baseline results/ --into baseline.json
    """
    found = baselines.load(runs, machine.this_machine())
    baselines.save(found, into)
    machines = {run.fingerprint for run in found.runs}
    cases = {case for run in found.runs for case in run.cases}
    few = "" if len(found.runs) >= ENOUGH_RUNS else f"; a gate needs {ENOUGH_RUNS}"
    many = f"; from {len(machines)} machines, which are never pooled" if len(machines) > 1 else ""
    click.echo(f"{into}: {len(found.runs)} runs, {len(cases)} cases{few}{many}")
