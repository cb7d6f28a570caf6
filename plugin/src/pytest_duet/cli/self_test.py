"""``duet self-test``: measure the harness itself, where there is nothing to find."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_duet import units
from pytest_duet.cli.common_options import AT_LEAST_ONE, json_option
from pytest_duet.cli.console import Progress, print_json
from pytest_duet.errors import MemberError

if TYPE_CHECKING:
    from pytest_duet.extras.self_test import Overhead

WORKER = Path("target/release/lcg")
"""The example worker, which also has a call that does nothing."""


@click.command("self-test")
@click.option("--decisions", default=30, show_default=True, type=AT_LEAST_ONE, help="Number of gates on no change.")
@click.option("--seconds", default=8.0, show_default=True, help="Most seconds for the rounds of one decision.")
@json_option
@click.option(
    "--worker",
    type=click.Path(path_type=Path, dir_okay=False),
    default=WORKER,
    show_default=True,
    help="Rust worker with a task `noop`; left out if it is not built.",
)
def self_test(decisions: int, seconds: float, as_json: bool, worker: Path) -> None:
    """Compare code with itself, to measure the harness.

    Prints the rate of false alarms, the cost of a round, and the bias of a worker process. Each decision takes about five seconds. It takes several hundred decisions to confirm an alarm rate of at most 1 %.
    """
    from pytest_duet.extras import self_test as measure

    progress = Progress()
    progress.where = "self-test"
    with tempfile.TemporaryDirectory(prefix="duet-self-") as folder:
        cache = Path(folder)
        forked = measure.function_launch(measure.spin, direct=False)
        groups = [
            measure.against_itself(f"spin/{name}", (forked, forked), cache, seconds, n=steps)
            for name, steps in measure.WORKLOADS.items()
        ]
        rate, verdicts = measure.false_alarms(groups, decisions, progress)
        overheads = _overheads(worker)
        steps = measure.WORKLOADS["middle"]
        bias = measure.bias("spin/middle", cache, seconds, progress, n=steps)
    progress("")
    assert bias.ratio is not None
    low, high = (bias.interval.low, bias.interval.high) if bias.interval else (None, None)
    if as_json:
        print_json(
            {
                "false_alarms": asdict(rate),
                "verdicts": verdicts,
                "overheads": [asdict(each) for each in overheads],
                "worker_over_this_process": {"ratio": bias.ratio, "interval": [low, high], "cells": bias.cells},
            }
        )
        return
    share, least, most = map(units.percent, (rate.alarms / rate.decisions, rate.low, rate.high))
    counts = ", ".join(f"{count} {word}" for word, count in verdicts.items())
    click.echo(
        f"false alarms: {rate.alarms} in {rate.decisions} decisions, {share} [{least}, {most}] (allowed: 1 %); "
        f"verdicts: {counts}"
    )
    if rate.too_few:
        click.echo(f"not counted: {rate.too_few} decisions with too few cells for an alarm; give each more --seconds")
    for each in overheads:
        on_clock, beside = units.duration(each.clock_ns), units.duration(max(0.0, each.beside_ns))
        click.echo(f"an empty call, {each.path}: {on_clock} on the clock, {beside} per round beside it")
    between = units.interval(low, high) if low is not None and high is not None else ""
    click.echo(
        f"the same Python function, in a worker over in this process: {units.factor(bias.ratio)} {between} "
        f"({bias.verdict}, {bias.cells} cells)"
    )


def _overheads(worker: Path) -> list[Overhead]:
    """Return what each path costs, without Rust, and saying so, if its worker is missing or has no such call."""
    from pytest_duet.extras.self_test import function_launch, noop, overhead
    from pytest_duet.spec.group import LaunchSpec

    found = [
        overhead("Python in this process", function_launch(noop, direct=True)),
        overhead("Python in a worker", function_launch(noop, direct=False)),
    ]
    why = f"{worker} is not built"
    if worker.is_file():
        try:
            return [*found, overhead("Rust in a worker", LaunchSpec("process", argv=(str(worker.resolve()),)))]
        except MemberError as error:
            why = str(error)
    click.echo(f"{why}: Rust is left out; build it with `make build`", err=True)
    return found
