"""``duet analyse``: compare the members of measured groups, and save all of them as one run."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.defaults import RESULTS


@click.command("analyse")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--into", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="Saved runs.")
def analyse(runs: tuple[Path, ...], into: Path) -> None:
    """Compare the members of each group in RUNS, files of `duet measure` or folders of them, and save one run of all.

    Runs of different machines, profiles or modes are never pooled. `duet report` shows what was saved.

    Example: duet analyse measured/ --into results/
    """
    from pytest_duet.phases.analyse import merge
    from pytest_duet.phases.files import read_runs
    from pytest_duet.records import store

    run = merge(read_runs(runs))
    path = store.save(run, into)
    verdicts: dict[str, int] = {}
    for comparison in run.comparisons:
        verdicts[comparison.verdict] = verdicts.get(comparison.verdict, 0) + 1
    click.echo(", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "nothing was compared")
    click.echo(f"saved: {path}", err=True)
