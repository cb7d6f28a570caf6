"""``duet ab``: compare the same implementations, built from two commits, in turns on one CPU."""

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
from pytest_duet.cli.common_options import expression_option, give_up, profile_option, results_option, usage
from pytest_duet.cli.console import Progress
from pytest_duet.errors import reason_of
from pytest_duet.exit_status import Exit
from pytest_duet.extras.worktrees import WorktreeError
from pytest_duet.report import ab as lines

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.records.schema import Change
    from pytest_duet.session import Session

SECONDS: Final = 8.0
"""The planned time of the rounds of one case; most need two or three seconds."""


def _finite(_context: click.Context, _option: click.Parameter, seconds: float) -> float:
    if not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a number of seconds; give one such as {SECONDS:g}")
    return seconds


@click.command("ab")
@click.argument("base", default="")
@click.argument("head", default="")
@expression_option("Only cases whose id matches, such as 'lasso and not native'.")
@click.option("--cmd", "commands", nargs=2, default=None, metavar="BASE HEAD", help="Compare two worker commands.")
@click.option("--task", default="", help="With --cmd: the task of the job.")
@click.option("--algorithm", default="default", show_default=True, help="With --cmd: the algorithm.")
@click.option("--phase", default="call", show_default=True, help="With --cmd: the phase.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="With --cmd: a parameter of the job.")
@click.option("--data", "arrays", multiple=True, metavar="NAME=FILE.npy", help="With --cmd: a data file of the job.")
@profile_option("Profile: the size of the data.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    callback=_finite,
    default=SECONDS,
    show_default=True,
    help="Planned seconds for the rounds of one case; up to three times that if noise hides a relevant change.",
)
@click.option("--advisory", is_flag=True, help="Exit with 0 instead of 11 (cannot decide).")
@click.option("--strict", is_flag=True, help="Exit with 13 if a framework is unavailable.")
@results_option
@click.option(
    "--benches",
    # With --cmd, it need not exist.
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
    advisory: bool,
    strict: bool,
    results: Path,
    benches: Path,
) -> None:
    """Compare two commits, and fail if a case certainly became slower.

    HEAD is the working tree unless given. The exit status is 10 only if a case is slower by more than 1 %, at an error rate of 1 % over all cases. It is 11 if a
    case cannot be decided: it is too noisy to see its margin, its data recipe changed, or it is missing. It is 12 if a
    case gives another result than base.

    \b
    Examples: duet ab main
              duet ab main -k "lasso and native"
              duet ab --cmd old/lcg new/lcg --task lcg --param n=1000
    """  # noqa: D301 - the backspace is click's sign to leave lines as they are
    from pytest_duet.extras.ab_commands import of_commands
    from pytest_duet.extras.ab_commits import Found, of_commits
    from pytest_duet.ids import GroupKey
    from pytest_duet.session import Session

    if bool(commands) == bool(base):
        raise click.UsageError("name either BASE or --cmd with two commands")
    if commands:
        _refuse({"expression"}, "selects cases of a suite, and two commands are one case; leave it out")
    else:
        job = {"task", "algorithm", "phase", "params", "arrays"}
        _refuse(job, "describes the job of two commands; leave it out, or give --cmd instead of BASE")
    progress = Progress()
    session = Session(results, profile, name="ab", progress=progress)
    session.check_writable()
    started = time.monotonic()
    if commands:
        with usage():
            group = of_commands(commands, GroupKey(task, algorithm, phase, ""), params, arrays, profile)
        found, names = Found([group]), commands
    else:
        try:
            found, names = of_commits(base, head, expression, profile, benches.resolve(), progress.line)
        except WorktreeError as error:
            give_up(error, advisory=advisory)
        except KeyboardInterrupt:
            sys.exit(int(Exit.INTERRUPTED))
    progress.line(f"ready after {time.monotonic() - started:.0f} s; {len(found.groups)} cases to measure")
    changes = _measure(session, found.groups, seconds, progress)
    decisions = [gate.decide(each) for each in gate.judge_family([*changes, *found.known])]
    for line in lines.lines(decisions):
        click.echo(line)
    click.echo(lines.summary(decisions, names, complete=session.complete))
    status = session.status(decisions, advisory=advisory, strict=strict) if session.complete else Exit.INTERRUPTED
    sys.exit(int(status))


def _refuse(names: Collection[str], why: str) -> None:
    """Refuse the options whose values have these `names`.

    Raises:
        click.UsageError: one was given; the message has the option and `why`.
    """
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in names and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} {why}")


def _measure(session: Session, groups: Sequence[BoundGroup], seconds: float, progress: Progress) -> list[Change]:
    """Measure `groups` one after the other until Ctrl-C, save them, and return the change of each."""
    changes: list[Change] = []
    with session, session.interruptible():
        for number, group in enumerate(groups, 1):
            progress.where = f"[{number}/{len(groups)}] {group.spec.id}"
            changes.append(_change(session, group, seconds, len(groups)))
            progress.line(f"{progress.where}: {lines.measured(changes[-1])}")
    if session.groups:
        progress.save(session)
    return changes


def _change(session: Session, group: BoundGroup, seconds: float, decisions: int) -> Change:
    from pytest_duet.extras.ab_pair import BASE, HEAD, change_of, not_compared
    from pytest_duet.measure.mode import base_and_head

    budget = msgspec.structs.replace(group.spec.budget, group_seconds=seconds)
    timed = group.derived(msgspec.structs.replace(group.spec, budget=budget))
    try:
        record = session.run(timed, (BASE, HEAD), mode=base_and_head(decisions))
    except Exception as error:  # noqa: BLE001 - the fault of one task must not end the other cases
        return not_compared(group.spec.id, "bad", "ok", reason_of(error))
    return change_of(group, record, decisions)
