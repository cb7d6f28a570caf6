"""``duet stats``: print the classical statistics of a saved run; no verdict depends on them."""

from __future__ import annotations

import shutil
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import click
import msgspec

from pytest_duet.analysis import statistics
from pytest_duet.cli.common_options import json_option
from pytest_duet.errors import StoreError
from pytest_duet.records import store
from pytest_duet.report import statistics as pages

_LEAST_WIDTH: Final = 72


@click.command("stats")
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
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
    per_round: bool,  # noqa: FBT001 - click's flag
    policy: str,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Print the classical tests of one run, or combine several RUNS of one machine.

    Over cells: signed-rank, t, Welch, Mann-Whitney, Brunner-Munzel, normality, equivalence, effects, corrections by
    Bonferroni, Holm, Benjamini-Hochberg and Benjamini-Yekutieli. Over five or more runs: the random-effects mean and the
    prediction for one more run.
    """
    if len(runs) > 1 and (per_round or policy != "auto"):
        raise click.UsageError("--per-round and --test need a single run; name one")
    records = store.load_different(runs)
    plain = "utf" not in (sys.stdout.encoding or "ascii").lower()
    width = max(_LEAST_WIDTH, shutil.get_terminal_size(fallback=(100, 24)).columns)
    if len(records) == 1:
        found = [each for each in statistics.analyse(records[0], rounds=per_round) if fnmatchcase(each.case, pattern)]
        click.echo(_json(found) if as_json else pages.render(found, width, policy=policy, plain=plain), nl=as_json)
        return
    machines = {record.machine.fingerprint: record.machine.cpu for record in records}
    if len(machines) > 1:
        raise StoreError(f"the runs are from {len(machines)} machines, which are never pooled; name those of one")
    over = [each for each in statistics.analyse_across(records) if fnmatchcase(each.case, pattern)]
    name = next(iter(machines.values()))
    click.echo(_json(over) if as_json else pages.render_across(over, name, width, plain=plain), nl=as_json)


def _json(found: object) -> str:
    return msgspec.json.format(msgspec.json.encode(found, order="deterministic"), indent=2).decode()
