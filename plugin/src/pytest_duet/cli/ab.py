"""``duet ab``: head against base, the same implementations built from two commits, in turns on one CPU."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
from click.core import ParameterSource

from pytest_duet.analysis import gate
from pytest_duet.cli.common_options import give_up, profile_option, results_option
from pytest_duet.cli.progress import Progress
from pytest_duet.errors import SpecError, reason_of
from pytest_duet.exit_status import Exit
from pytest_duet.extras.worktrees import WorktreeError
from pytest_duet.report import ab as lines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.records.schema import Change

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
@profile_option("Which size the data have.")
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
@results_option
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
    from pytest_duet.extras.ab_commands import of_commands
    from pytest_duet.extras.ab_commits import Found, of_commits
    from pytest_duet.ids import GroupKey
    from pytest_duet.spec.selectors import expression as means

    if bool(commands) == bool(base):
        raise click.UsageError("name either BASE or --cmd with two commands")
    if commands:
        _refuse({"expression"}, "chooses among the cases of a suite, and two commands are one case; leave it out")
    else:
        _refuse(
            {"task", "algorithm", "phase", "params", "arrays"},
            "says the job of two commands, and a suite has jobs of its own; leave it out, or give --cmd instead of BASE",
        )
    progress = Progress()
    measured = Measured(results, profile, seconds, progress)
    measured.session.check_writable()
    started = time.monotonic()
    if commands:
        try:
            group = of_commands(commands, GroupKey(task, algorithm, phase, ""), params, arrays, profile)
        except SpecError as error:
            raise click.UsageError(str(error)) from error
        found, names = Found([group]), commands
    else:
        try:
            means(expression)
        except SpecError as error:
            raise click.UsageError(f"-k: {error}") from error
        try:
            found, names = of_commits(base, head, expression, profile, benches.resolve(), progress.line)
        except WorktreeError as error:
            give_up(error, advisory=advisory)
        except KeyboardInterrupt:
            sys.exit(int(Exit.INTERRUPTED))
    progress.line(f"ready after {time.monotonic() - started:.0f} s; {len(found.groups)} cases to measure")
    changes = measured.measure(found.groups)
    decisions = [gate.decide(each) for each in gate.judge_family([*changes, *found.known])]
    for line in lines.lines(decisions):
        click.echo(line)
    session = measured.session
    click.echo(lines.summary(decisions, names, complete=session.complete))
    status = session.status(decisions, advisory=advisory, strict=strict) if session.complete else Exit.INTERRUPTED
    sys.exit(int(status))


def _refuse(names: Collection[str], why: str) -> None:
    """Refuse the options whose values have these `names`, where one was given: it would mean nothing.

    Raises:
        click.UsageError: with the option, and `why`.

    """
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {why}")


class Measured:
    """Compares one group after the other in a session of its own, and reports each while it goes on."""

    def __init__(self, results: Path, profile: str, seconds: float, progress: Progress) -> None:
        """Measure nothing yet."""
        from pytest_duet.session import Session

        self.session = Session(results, profile, name="ab", progress=progress)
        self._seconds, self._progress = seconds, progress

    def measure(self, groups: Sequence[BoundGroup]) -> list[Change]:
        """Return what came of `groups`, as far as it got: Ctrl-C ends it, and what was finished counts."""
        changes: list[Change] = []
        with self.session, self.session.interruptible():
            for number, group in enumerate(groups, 1):
                self._progress.where = f"[{number}/{len(groups)}] {group.spec.id}"
                changes.append(self._change(group, len(groups)))
                self._progress.line(f"{self._progress.where}: {lines.measured(changes[-1])}")
        if self.session.groups:
            saved = self.session.save(self.session.analysed())
            if saved is not None:
                self._progress.line(f"saved: {saved}")
        for error in self.session.errors:
            self._progress.line(f"duet: not saved: {error}")
        return changes

    def _change(self, group: BoundGroup, decisions: int) -> Change:
        from pytest_duet.extras.ab import BASE, HEAD, change_of, undecided
        from pytest_duet.measure.mode import base_and_head

        budget = msgspec.structs.replace(group.spec.budget, group_seconds=self._seconds)
        timed = group.derived(msgspec.structs.replace(group.spec, budget=budget))
        try:
            record = self.session.run(timed, (BASE, HEAD), mode=base_and_head(decisions))
        except Exception as error:  # noqa: BLE001 - a task's fault must cost no other case
            return undecided(group.spec.id, reason_of(error))
        return change_of(group, record, decisions)
