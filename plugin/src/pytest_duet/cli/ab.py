"""``duet ab``: head against base, the same implementations built from two commits, in turns on one processor.

Not for runs that were saved (``duet gate``), and not for Rust against Python (``pytest benches``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from pytest_duet import __version__, gate, store
from pytest_duet.cli import STORAGE_FAILED
from pytest_duet.errors import StoreError
from pytest_duet.report import ab as lines
from pytest_duet.trees import TreeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_duet.gate import Decided
    from pytest_duet.plan import GroupPlan
    from pytest_duet.record import Change, GroupRecord

INTERRUPTED: Final = 2
SECONDS: Final = 8.0
"""How long the rounds of one case may take; most need two or three, quiet or not."""


class Undecidable(click.ClickException):
    """The two cannot be compared at all."""

    exit_code = int(gate.Exit.CANNOT_DECIDE)


@click.command("ab")
@click.argument("base", default="")
@click.argument("head", default="")
@click.option("-k", "expression", default="", metavar="EXPRESSION", help="Only cases like this: lasso and not native.")
@click.option("--cmd", "commands", nargs=2, default=None, metavar="BASE HEAD", help="Two worker commands of your own.")
@click.option("--task", default="", help="With --cmd: the task the workers are asked for.")
@click.option("--algorithm", default="default", show_default=True, help="With --cmd: the algorithm.")
@click.option("--phase", default="call", show_default=True, help="With --cmd: the phase.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="With --cmd: a parameter of the job.")
@click.option("--data", "arrays", multiple=True, metavar="NAME=FILE.npy", help="With --cmd: a data file of the job.")
@click.option("--profile", default="smoke", show_default=True, help="Which size the data have.")
@click.option("--seconds", default=SECONDS, show_default=True, help="Most seconds the rounds of one case may take.")
@click.option("--advisory", is_flag=True, help="Exit with 0 where nothing could be decided.")
@click.option("--strict", is_flag=True, help="Exit with 13 where a framework is unavailable.")
@click.option("--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Saved runs.")
@click.option(
    "--benches",
    # Need not exist: two commands have no spec files.
    type=click.Path(path_type=Path, file_okay=False),
    default="benches",
    show_default=True,
    help="Folder with the spec files.",
)
def ab(
    base: str,
    head: str,
    expression: str,
    commands: tuple[str, str] | None,
    task: str,
    algorithm: str,
    phase: str,
    params: tuple[str, ...],
    arrays: tuple[str, ...],
    profile: str,
    seconds: float,
    advisory: bool,  # noqa: FBT001 - click's flag
    strict: bool,  # noqa: FBT001 - click's flag
    results: Path,
    benches: Path,
) -> None:
    """Compare HEAD (the working tree by default) with commit BASE, and fail where it surely got slower.

    Fails (10) only where a case is slower by more than 1 %, sure at 1 % over all cases. What cannot be decided is 11: too
    noisy to see the margin, another data recipe, a case that is gone. Another answer than base's is 12.

    \b
    Examples: duet ab main
              duet ab main -k "lasso and native"
              duet ab --cmd old/lcg new/lcg --task lcg --param n=1000
    """  # noqa: D301 - the backspace is click's sign to leave lines as they are
    from pytest_duet.cli import ab_cases

    if bool(commands) == bool(base):
        raise click.UsageError("name either BASE or --cmd with two commands")
    store.check_writable(results, store.machine())
    started = time.monotonic()
    if commands:
        asked = ab_cases.Asked(task, algorithm, phase)
        found = ab_cases.Found([ab_cases.of_commands(commands, asked, params, arrays, profile)])
        names = commands
    else:
        try:
            found, names = ab_cases.of_commits(base, head, expression, profile, benches.resolve(), _say)
        except TreeError as error:
            raise Undecidable(str(error)) from error
    _say(f"ready after {time.monotonic() - started:.0f} s; {len(found.plans)} cases to measure")
    session = Session(results, profile, seconds)
    changes = session.measure(found.plans)
    decisions = [gate.decide(each) for each in gate.judge_family([*changes, *found.known])]
    for line in lines.lines(decisions):
        click.echo(line)
    click.echo(lines.summary(decisions, names, complete=session.complete))
    sys.exit(_status(session, decisions, advisory=advisory, strict=strict))


class Session:
    """Measures one plan after the other, keeps what is finished, and says so while it goes on."""

    def __init__(self, results: Path, profile: str, seconds: float) -> None:
        """Measure nothing yet."""
        self.complete = True
        self.unavailable = False
        self.storage_error = ""
        self._results, self._profile, self._seconds = results, profile, seconds
        self._created = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
        self._groups: list[GroupRecord] = []

    def measure(self, plans: Sequence[GroupPlan]) -> list[Change]:
        """Return what came of `plans`, as far as it got: Ctrl-C ends it, and what was finished counts."""
        changes: list[Change] = []
        try:
            for change in self._changes(plans):
                changes.append(change)  # noqa: PERF402 - one by one: what came before an interrupt is kept
        except KeyboardInterrupt:
            self.complete = False
        if self._groups:
            self._save()
        return changes

    def _changes(self, plans: Sequence[GroupPlan]) -> Iterator[Change]:
        from pytest_duet.journal import Journal
        from pytest_duet.measure.ab import BASE, HEAD, change_of
        from pytest_duet.measure.group import measure_group
        from pytest_duet.measure.mode import base_and_head
        from pytest_duet.workers.nursery import Nursery

        if not plans:
            return
        mode = base_and_head(len(plans))
        stamp = re.sub(r"[^0-9T]", "", self._created.partition("+")[0])
        path = store.folder(self._results, store.machine()) / f"journal-{stamp}-ab.jsonl"
        with Nursery() as nursery, ExitStack() as stack:
            journal = Journal.open(
                path, machine=store.machine(), profile=self._profile, mode=mode.name, created=self._created
            )
            stack.callback(journal.close)
            for number, plan in enumerate(plans, 1):
                where = f"[{number}/{len(plans)}] {plan.id}"
                timed = _with_seconds(plan, self._seconds)
                record = measure_group(
                    timed, selected=(BASE, HEAD), timed=True, mode=mode, nursery=nursery, progress=_progress(where)
                )
                _clear()
                journal.append(record)
                self._groups.append(record)
                self.unavailable |= any(member.status == "unavailable" for member in record.members)
                change = change_of(plan, record, len(plans))
                _say(f"{where}: {lines.measured(change)}")
                yield change
            stack.pop_all()
            journal.discard()

    def _save(self) -> None:
        from pytest_duet.comparison import compare_run
        from pytest_duet.record import SCHEMA, RunRecord

        run = RunRecord(
            schema=SCHEMA,
            created=self._created,
            version=__version__,
            machine=store.machine(),
            profile=self._profile,
            mode="ab",
            complete=self.complete,
            groups=self._groups,
            comparisons=compare_run(self._groups),
        )
        try:
            click.echo(f"saved: {store.save(run, self._results)}", err=True)
        except StoreError as error:
            self.storage_error = str(error)
            click.echo(f"duet: not saved: {error}", err=True)


def _with_seconds(plan: GroupPlan, seconds: float) -> GroupPlan:
    return dataclasses.replace(plan, budget=msgspec.structs.replace(plan.budget, group_seconds=seconds))


def _status(session: Session, decisions: Iterable[Decided], *, advisory: bool, strict: bool) -> int:
    decisions = list(decisions)
    if not session.complete:
        return INTERRUPTED
    if session.storage_error:
        return STORAGE_FAILED
    status = gate.exit_status(decisions, advisory=advisory, unavailable=strict and session.unavailable)
    if status is gate.Exit.PASSED and not advisory and not any(each.change.units for each in decisions):
        # Nothing was compared: that is no pass.
        return int(gate.Exit.CANNOT_DECIDE)
    return int(status)


def _say(what: str) -> None:
    click.echo(what, err=True)


def _progress(where: str) -> Callable[[str], None]:
    def show(what: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[2K{where}: {what.partition(': ')[2]}"[:100], err=True, nl=False)

    return show


def _clear() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[2K", err=True, nl=False)
