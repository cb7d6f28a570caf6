"""``duet analyse``: compare the members of measured groups, and save all groups as one run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import PATH
from pytest_duet.defaults import RESULTS

if TYPE_CHECKING:
    from pathlib import Path


@click.command("analyse")
@click.argument("runs", type=PATH, nargs=-1, required=True)
@click.option("--into", type=PATH, default=RESULTS, show_default=True, help="Folder of saved runs.")
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
