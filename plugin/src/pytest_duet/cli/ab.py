"""``duet ab``: head against base, the same implementations built from two commits, in turns on one processor.

Not for runs that were saved (``duet gate``), and not for Rust against Python (``pytest benches``).
"""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
from click.core import ParameterSource

from pytest_duet.analysis import gate
from pytest_duet.cli.common_options import give_up
from pytest_duet.errors import reason_of
from pytest_duet.extras.worktrees import WorktreeError
from pytest_duet.records import machine, store
from pytest_duet.report import ab as lines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.records.schema import Change, GroupRecord
    from pytest_duet.spec.group import GroupSpec

INTERRUPTED: Final = 2
SECONDS: Final = 8.0
"""How long the rounds of one case are planned to take; most need two or three, quiet or not."""


def _finite(_context: click.Context, _option: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is no number of seconds; give one such as {SECONDS:g}")
    return seconds


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
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    default=SECONDS,
    show_default=True,
    help="Seconds that the rounds of one case are planned to take; up to thrice that where noise hides what matters.",
)
@click.option("--advisory", is_flag=True, help="Exit with 0 instead of 11, whatever the reason.")
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
    from pytest_duet.extras import ab_cases

    if bool(commands) == bool(base):
        raise click.UsageError("name either BASE or --cmd with two commands")
    if commands:
        _refuse({"expression"}, "chooses among the cases of a suite, and two commands are one case; leave it out")
    else:
        _refuse(
            {"task", "algorithm", "phase", "params", "arrays"},
            "says the job of two commands, and a suite has jobs of its own; leave it out, or give --cmd instead of BASE",
        )
    store.check_writable(results, machine.this_machine())
    started = time.monotonic()
    if commands:
        asked = ab_cases.Asked(task, algorithm, phase)
        found = ab_cases.Found([ab_cases.of_commands(commands, asked, params, arrays, profile)])
        names = commands
    else:
        try:
            found, names = ab_cases.of_commits(base, head, expression, profile, benches.resolve(), _say)
        except WorktreeError as error:
            give_up(error, advisory=advisory)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
    _say(f"ready after {time.monotonic() - started:.0f} s; {len(found.plans)} cases to measure")
    session = Session(results, profile, seconds)
    changes = session.measure(found.plans)
    decisions = [gate.decide(each) for each in gate.judge_family([*changes, *found.known])]
    for line in lines.lines(decisions):
        click.echo(line)
    click.echo(lines.summary(decisions, names, complete=session.complete))
    sys.exit(_status(session, decisions, advisory=advisory, strict=strict))


def _refuse(names: Collection[str], why: str) -> None:
    """Refuse the options whose values have these `names`, where one was given: it would mean nothing.

    Raises:
        click.UsageError: with the option, and `why`.

    """
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {why}")


class Session:
    """Measures one plan after the other, keeps what is finished, and says so while it goes on."""

    def __init__(self, results: Path, profile: str, seconds: float) -> None:
        """Measure nothing yet."""
        self.complete = True
        self.unavailable = False
        from pytest_duet.session import Recorder

        self.recorder = Recorder(results, profile, "ab")
        self._seconds = seconds
        self._groups: list[GroupRecord] = []

    def measure(self, plans: Sequence[GroupSpec]) -> list[Change]:
        """Return what came of `plans`, as far as it got: Ctrl-C ends it, and what was finished counts."""
        changes: list[Change] = []
        try:
            for change in self._changes(plans):
                changes.append(change)  # noqa: PERF402 - one by one: what came before an interrupt is kept
        except KeyboardInterrupt:
            self.complete = False
        if self._groups:
            saved = self.recorder.save(self.recorder.run(self._groups, complete=self.complete))
            if saved is not None:
                _say(f"saved: {saved}")
        for error in self.recorder.errors:
            _say(f"duet: not saved: {error}")
        return changes

    def _changes(self, plans: Sequence[GroupSpec]) -> Iterator[Change]:
        from pytest_duet.extras.ab import BASE, HEAD, change_of, undecided
        from pytest_duet.measure.group import measure_group
        from pytest_duet.measure.mode import base_and_head
        from pytest_duet.workers.spawner import Spawner

        if not plans:
            return
        mode = base_and_head(len(plans))
        with Spawner() as spawner:
            for number, plan in enumerate(plans, 1):
                where = f"[{number}/{len(plans)}] {plan.id}"
                timed = _with_seconds(plan, self._seconds)
                try:
                    record = measure_group(
                        timed, selected=(BASE, HEAD), timed=True, mode=mode, spawner=spawner, progress=_progress(where)
                    )
                except Exception as error:  # noqa: BLE001 - a fault of a task folder must cost no other case
                    change = undecided(plan.id, reason_of(error))
                else:
                    self._groups.append(record)
                    self.recorder.keep(record)
                    self.unavailable |= any(member.status == "unavailable" for member in record.members)
                    change = change_of(plan, record, len(plans))
                _say(f"{where}: {lines.measured(change)}")
                yield change


def _with_seconds(plan: GroupSpec, seconds: float) -> GroupSpec:
    return dataclasses.replace(plan, budget=msgspec.structs.replace(plan.budget, group_seconds=seconds))


def _status(session: Session, decisions: Sequence[Decided], *, advisory: bool, strict: bool) -> int:
    if not session.complete:
        return INTERRUPTED
    unavailable = strict and session.unavailable
    storage_failed = bool(session.recorder.errors)
    return int(gate.exit_status(decisions, advisory=advisory, unavailable=unavailable, storage_failed=storage_failed))


def _say(what: str) -> None:
    """Write a line, in place of the progress that may stand there."""
    click.echo(f"{_over()}{what}", err=True)


def _progress(where: str) -> Callable[[str], None]:
    def show(what: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"{_over()}{where}: {what.partition(': ')[2]}"[:100], err=True, nl=False)

    return show


def _over() -> str:
    return "\r\x1b[2K" if sys.stderr.isatty() else ""
