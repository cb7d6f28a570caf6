"""``duet self-test``: what the harness does where there is nothing to find.

Not for a project's own code: ``ab`` compares that.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_duet import units
from pytest_duet.cli.common_options import json_option
from pytest_duet.errors import MemberError

if TYPE_CHECKING:
    from pytest_duet.extras.self_test import Overhead, Rate

WORKER = Path("target/release/lcg")
"""The example worker, which has a call that does nothing too."""


@click.command("self-test")
@click.option(
    "--decisions", default=30, show_default=True, type=click.IntRange(min=1), help="How often to decide over nothing."
)
@click.option("--seconds", default=8.0, show_default=True, help="Most seconds the rounds of one decision may take.")
@json_option
@click.option(
    "--worker",
    type=click.Path(path_type=Path, dir_okay=False),
    default=WORKER,
    show_default=True,
    help="A Rust worker with a task `noop`; left out where it is not built.",
)
def self_test(decisions: int, seconds: float, as_json: bool, worker: Path) -> None:  # noqa: FBT001 - click's flag
    """Compare things with themselves: false alarms, what a round costs, what a process of one's own changes.

    Takes about five seconds a decision. A level of 1 % is seen to be kept from some hundred decisions on.
    """
    from pytest_duet.extras import self_test as measure

    with tempfile.TemporaryDirectory(prefix="duet-self-") as folder:
        cache = Path(folder)
        forked = measure.function_launch(measure.spin, direct=False)
        groups = [
            measure.against_itself(f"spin/{name}", (forked, forked), cache, seconds, n=steps)
            for name, steps in measure.WORKLOADS.items()
        ]
        rate, verdicts = measure.false_alarms(groups, decisions, _progress)
        overheads = _overheads(worker)
        steps = measure.WORKLOADS["middle"]
        bias = measure.bias("spin/middle", cache, seconds, _progress, n=steps)
    _progress("")
    assert bias.ratio is not None
    low, high = (bias.interval.low, bias.interval.high) if bias.interval else (None, None)
    if as_json:
        document = {
            "false_alarms": asdict(rate),
            "verdicts": verdicts,
            "overheads": [asdict(each) for each in overheads],
            "worker_over_this_process": {"ratio": bias.ratio, "interval": [low, high], "cells": bias.cells},
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"false alarms: {_share(rate)} on nothing (allowed: 1 %); verdicts: {_counted(verdicts)}")
    if rate.too_few:
        click.echo(f"not counted: {rate.too_few} with too few cells for any alarm; give each more --seconds")
    for each in overheads:
        on_clock, beside = units.duration(each.clock_ns), units.duration(max(0.0, each.beside_ns))
        click.echo(f"a call that does nothing, {each.path}: {on_clock} on the clock; {beside} a round beside it")
    between = units.interval(low, high) if low is not None and high is not None else ""
    click.echo(
        f"the same Python function in a worker over in this process: {units.factor(bias.ratio)} {between} "
        f"({bias.verdict}, {bias.cells} cells)"
    )


def _overheads(worker: Path) -> list[Overhead]:
    """Return what each path costs; Rust is left out, and that is said, where its worker cannot tell."""
    from pytest_duet.extras import self_test as measure
    from pytest_duet.spec.group import LaunchSpec

    found = [
        measure.overhead("Python in this process", measure.function_launch(measure.noop, direct=True)),
        measure.overhead("Python in a worker", measure.function_launch(measure.noop, direct=False)),
    ]
    why = f"{worker} is not built"
    if worker.is_file():
        try:
            return [
                *found,
                measure.overhead("Rust in a worker", LaunchSpec("process", argv=(str(worker.resolve()),))),
            ]
        except MemberError as error:
            why = str(error)
    click.echo(f"{why}: Rust is left out; `make build` builds it anew", err=True)
    return found


def _share(rate: Rate) -> str:
    return (
        f"{rate.alarms} in {rate.decisions} decisions, {units.percent(rate.alarms / rate.decisions)} "
        f"[{units.percent(rate.low)}, {units.percent(rate.high)}]"
    )


def _counted(verdicts: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in verdicts.items())


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[2K{what}"[:100], err=True, nl=False)
