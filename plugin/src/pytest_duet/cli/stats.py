"""``duet stats``: print the classical statistics of a saved run; no verdict depends on them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from pytest_duet.analysis import statistics
from pytest_duet.cli.common_options import PATH, json_option
from pytest_duet.cli.console import console, print_json
from pytest_duet.errors import StoreError
from pytest_duet.records import store
from pytest_duet.report import statistics as pages

if TYPE_CHECKING:
    from pathlib import Path


@click.command("stats")
@click.argument("runs", type=PATH, nargs=-1, required=True)
@click.option("--case", "pattern", default="*", metavar="PATTERN", help="Only comparisons of these cases.")
@click.option("--per-round", is_flag=True, help="Also test single rounds; these tests are descriptive.")
@click.option(
    "--test",
    "policy",
    type=click.Choice(["auto", "normality"]),
    default="auto",
    show_default=True,
    help="auto follows the design; normality shows t and ranks and takes the larger p.",
)
@json_option
def stats(
    runs: tuple[Path, ...],
    pattern: str,
    per_round: bool,
    policy: str,
    as_json: bool,
) -> None:
    """Print the classical tests of one run, or combine several RUNS of one machine.

    Over cells: signed-rank, t, Welch, Mann-Whitney, Brunner-Munzel, normality, equivalence, effects, corrections by
    Bonferroni, Holm, Benjamini-Hochberg and Benjamini-Yekutieli. Over five or more runs: the random-effects mean and the
    prediction for one more run.
    """
    if len(runs) > 1 and (per_round or policy != "auto"):
        raise click.UsageError("--per-round and --test need a single run; name one")
    records = store.load_different(runs)
    shown = console()
    if len(records) == 1:
        found = [each for each in statistics.analyse(records[0], rounds=per_round) if fnmatchcase(each.case, pattern)]
        if as_json:
            print_json(found)
        else:
            click.echo(pages.render(found, shown.width, policy=policy, ascii_only=shown.ascii_only), nl=False)
        return
    machines = {record.machine.fingerprint: record.machine.cpu for record in records}
    if len(machines) > 1:
        raise StoreError(f"the runs are from {len(machines)} machines, which are never pooled; name those of one")
    over = [each for each in statistics.analyse_across(records) if fnmatchcase(each.case, pattern)]
    name = next(iter(machines.values()))
    if as_json:
        print_json(over)
    else:
        click.echo(pages.render_across(over, name, shown.width, ascii_only=shown.ascii_only), nl=False)
