"""Measure the engine where the truth is known: false alarms, regressions it detects, coverage of its intervals.

Not for a machine's noise as such (``duet self-test``), and not for asserting anything.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
import workloads

from pytest_duet.analysis import baseline, gate
from pytest_duet.analysis.margins import Margins
from pytest_duet.binding.bind import bind
from pytest_duet.cli.ab import SECONDS
from pytest_duet.extras import self_test
from pytest_duet.extras.ab_pair import BASE, HEAD, as_pair, change_of
from pytest_duet.measure.mode import base_and_head
from pytest_duet.records.baselines import SCHEMA, Baseline
from pytest_duet.records.summaries import CaseSummary, RunSummary
from pytest_duet.records.timings import typical_log_ns
from pytest_duet.session import run_group
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.records.schema import Change, GroupRecord

LONG: Final = "integers, long"
UNITS: Final = {
    "integers, short": (workloads.integers, 40),
    LONG: (workloads.integers, 1_600),
    "products": (workloads.products, 100),
    "memory": (workloads.memory, 100),
    "objects": (workloads.objects, 40),
}
"""Workloads by name: a function and how many units of work make its usual call, some tenths of a millisecond but for `LONG`."""
FOLDER: Final = Path("results/calibration")
_HOG: Final = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(1_000_000))"


# --- what is compared ---------------------------------------------------------------------------------------------------


def pair(name: str, more: float, cache: Path, seconds: float) -> BoundGroup:
    """Return the group in which workload `name` is compared with itself, head doing `more` of its work besides."""
    function, amount = UNITS[name]
    launch = self_test.function_launch(function, direct=False)
    group = self_test.against_itself(name, (launch, launch), cache, seconds, n=amount, more=0)
    base, head = group.spec.members
    head = msgspec.structs.replace(head, params={"n": amount, "more": round(amount * more)})
    spec = msgspec.structs.replace(group.spec, task=function.__name__)
    return bind(as_pair(spec, name, [base, head]), cache, cache)


def measured(group: BoundGroup, spawner: Spawner, family: int = 1) -> tuple[Change, GroupRecord, float]:
    """Return what came of `group`, the record it came from, and how many seconds it took."""
    started = time.monotonic()
    record = run_group(group, selected=(BASE, HEAD), timed=True, mode=base_and_head(family), spawner=spawner)
    return change_of(group, record, family), record, time.monotonic() - started


# --- keeping what was found ---------------------------------------------------------------------------------------------


class Book:
    """Appends one line of JSON a decision to a file of this trial's own."""

    def __init__(self, trial: str, hogs: int) -> None:
        """Open a new file for `trial`."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        stamp = dt.datetime.now(tz=dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        self.path = FOLDER / f"{stamp}-{trial}.jsonl"
        self._common = {"trial": trial, "hogs": hogs}

    def write(self, **found: Any) -> None:
        """Append one decision, and say on a terminal how far it is."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**self._common, **found}) + "\n")
        click.echo(f"  {found}", err=True)


@contextmanager
def hogs(count: int) -> Iterator[None]:
    """Keep `count` processors busy meanwhile, and no longer than this process lives."""
    busy = [subprocess.Popen([sys.executable, "-c", _HOG]) for _ in range(count)]
    try:
        yield
    finally:
        for each in busy:
            each.kill()
            each.wait()


def _decide(book: Book, more: float, decisions: int, seconds: float, names: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="duet-trial-") as folder, Spawner() as spawner:
        plans = [pair(name, more, Path(folder), seconds) for name in names or UNITS]
        for number in range(decisions):
            change, _, took = measured(plans[number % len(plans)], spawner)
            (change,) = gate.judge_family([change])
            interval = [change.interval.low, change.interval.high] if change.interval else None
            book.write(
                workload=change.case,
                true=1 + more,
                ratio=change.ratio,
                interval=interval,
                alarm=change.alarm,
                verdict=change.verdict,
                decision=gate.decide(change).decision,
                cells=change.units,
                seconds=took,
            )


# --- the trials ---------------------------------------------------------------------------------------------------------


@click.group(help=__doc__)
def main() -> None:
    """Run a trial, or read what one found."""


_HOGS = click.option("--hogs", "busy", default=0, show_default=True, help="How many processors to keep busy.")
_SECONDS = click.option(
    "--seconds", default=SECONDS, show_default=True, help="Seconds the rounds of a pair are planned to take."
)


_WORKLOADS = click.option(
    "--workload", "names", multiple=True, type=click.Choice(list(UNITS)), help="Only this workload; may be repeated."
)


def _decisions(default: int) -> Any:
    return click.option("--decisions", default=default, show_default=True, type=click.IntRange(min=1))


@main.command()
@_decisions(400)
@_HOGS
@_SECONDS
@_WORKLOADS
def alarms(decisions: int, busy: int, seconds: float, names: tuple[str, ...]) -> None:
    """Compare everything with itself: how often is there an alarm, how often is it called equivalent?"""
    book = Book("alarms", busy)
    with hogs(busy):
        _decide(book, 0.0, decisions, seconds, names)
    _print_summary([book.path])


@main.command()
@_decisions(100)
@_HOGS
@_SECONDS
@click.option("--more", default="5%", show_default=True, help="How much more work head does.")
@_WORKLOADS
def detection(decisions: int, busy: int, seconds: float, more: str, names: tuple[str, ...]) -> None:
    """Give head more work: how often is that caught, and how fast?"""
    book = Book("detection", busy)
    with hogs(busy):
        _decide(book, float(more.rstrip("%")) / 100, decisions, seconds, names)
    _print_summary([book.path])


@main.command()
@_decisions(400)
@_HOGS
@_SECONDS
@_WORKLOADS
def coverage(decisions: int, busy: int, seconds: float, names: tuple[str, ...]) -> None:
    """Inject ratios of 1, 1.05, 1.25 and 2: how often does the 95 % interval hold the truth?"""
    book = Book("coverage", busy)
    with hogs(busy):
        for more in (0.0, 0.05, 0.25, 1.0):
            _decide(book, more, max(1, decisions // 4), seconds, names)
    _print_summary([book.path])


@main.command()
@_decisions(50)
@_HOGS
def stored(decisions: int, busy: int) -> None:
    """Hold sessions of unchanged code against ten earlier ones each: how often does a stored baseline alarm?"""
    book = Book("stored", busy)
    with tempfile.TemporaryDirectory(prefix="duet-trial-") as folder, hogs(busy):
        sessions = [_session(Path(folder), number) for number in range(decisions + baseline.ENOUGH_RUNS + 1)]
    margins = Margins()
    for number in range(decisions):
        earlier = sessions[number : number + baseline.ENOUGH_RUNS]
        first, second = sessions[number + baseline.ENOUGH_RUNS :][:2]
        pinned = Baseline(schema=SCHEMA, created="", runs=earlier)
        decided = [gate.decide(each) for each in baseline.changes(first, pinned, margins, second=second)]
        status = int(gate.exit_status(decided))
        book.write(alarm=any(each.decision == "regression" for each in decided), status=status, cases=len(decided))
    _print_summary([book.path])


def _session(folder: Path, number: int) -> RunSummary:
    """Return the figures of one session in processes of its own."""
    cases = {}
    with Spawner() as spawner:
        for name in UNITS:
            _, record, _ = measured(pair(name, 0.0, folder, 2.0), spawner)
            base = record.members[0]
            log_ns = typical_log_ns(base)
            cases[name] = CaseSummary(status="ok", log_ns=log_ns, conditions="trial", margin=0.05)
    click.echo(f"  session {number + 1}", err=True)
    return RunSummary(f"{number}", f"{number}", "", "trial", "this machine", "this machine", cases)


@main.command()
@click.option("--cases", default=30, show_default=True, help="How many benchmarks the job has.")
@_HOGS
@_SECONDS
def job(cases: int, busy: int, seconds: float) -> None:
    """Gate a job of many short benchmarks, nothing having changed: how long does it take?"""
    book = Book("job", busy)
    short = [name for name, (function, amount) in UNITS.items() if (function, amount) != UNITS["integers, long"]]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="duet-trial-") as folder, Spawner() as spawner, hogs(busy):
        plans = [pair(short[number % len(short)], 0.0, Path(folder), seconds) for number in range(cases)]
        changes = gate.judge_family([measured(plan, spawner, cases)[0] for plan in plans])
    decided = [gate.decide(each) for each in changes]
    status = int(gate.exit_status(decided))
    book.write(
        cases=cases, seconds=time.monotonic() - started, status=status, alarm=any(each.alarm for each in changes)
    )


# --- what they found ----------------------------------------------------------------------------------------------------


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
def summary(files: Sequence[Path]) -> None:
    """Say what FILES hold: rates with exact intervals, by workload and injected ratio."""
    _print_summary(files)


def _print_summary(files: Sequence[Path]) -> None:
    found = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = defaultdict(list)
    for each in found:
        groups[each["trial"], each["hogs"], each.get("true")].append(each)
    for (trial, busy, true), each in groups.items():
        click.echo(f"{trial}, {busy} hogs{f', injected ratio {true:g}' if true else ''}, n = {len(each)}")
        click.echo(f"  alarms           {_rate([one['alarm'] for one in each])}")
        if true is None:
            continue
        click.echo(f"  equivalent       {_rate([one['verdict'] == 'equivalent' for one in each])}")
        held = [one["interval"] and one["interval"][0] <= true <= one["interval"][1] for one in each]
        click.echo(f"  interval holds   {_rate(held)}")
        for name in sorted({one["workload"] for one in each}):
            took = sorted(one["seconds"] for one in each if one["workload"] == name)
            caught = _rate([one["alarm"] for one in each if one["workload"] == name])
            last = took[math.ceil(0.95 * len(took)) - 1]
            click.echo(
                f"  {name:18s} {statistics.median(took):5.1f} s a pair, 95 % within {last:.1f} s; alarms {caught}"
            )


def _rate(hits: Sequence[object]) -> str:
    rate = self_test.rate(sum(map(bool, hits)), len(hits))
    return f"{rate.alarms} of {rate.decisions}: {rate.alarms / rate.decisions:.1%} [{rate.low:.1%}, {rate.high:.1%}]"


if __name__ == "__main__":
    main()
