"""``duet baseline``: pin saved runs as what later ones are held against.

Not for measuring them.
"""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.analysis.baseline import ENOUGH_RUNS
from pytest_duet.records import baselines, machine


@click.command("baseline")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--into", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file to write, to be kept."
)
def baseline(runs: tuple[Path, ...], into: Path) -> None:
    """Write a small file that stands for RUNS: saved runs, folders of them, or earlier such files.

    It holds one number a case and run with the digest that tells it from others, and a digest of itself.
    """
    found = baselines.load(runs, machine.this_machine())
    baselines.save(found, into)
    machines = {run.fingerprint for run in found.runs}
    cases = {case for run in found.runs for case in run.cases}
    few = "" if len(found.runs) >= ENOUGH_RUNS else f"; a gate needs {ENOUGH_RUNS}"
    many = f"; of {len(machines)} machines, which are never pooled" if len(machines) > 1 else ""
    click.echo(f"{into}: {len(found.runs)} runs, {len(cases)} cases{few}{many}")
