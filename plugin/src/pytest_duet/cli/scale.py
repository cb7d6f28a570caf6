"""``duet scale``: measure one algorithm at several sizes, and say how the time of each framework grows.

Not for verdicts at one size: ``pytest benches`` gives those.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click
import msgspec

from pytest_duet.cli.common_options import (
    benches_option,
    json_option,
    known,
    profile_option,
    results_option,
    threads_option,
)
from pytest_duet.cli.console import console, print_json
from pytest_duet.cli.progress import Progress
from pytest_duet.defaults import DATA_CACHE
from pytest_duet.errors import SpecError, nearest
from pytest_duet.exit_status import Exit
from pytest_duet.records.timings import typical_call_ns
from pytest_duet.report import scale as pages
from pytest_duet.stats.scaling import exponent
from pytest_duet.vocabulary import STATUSES

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.ids import GroupKey
    from pytest_duet.records.schema import GroupRecord
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.spec.suite import Suite

HALF_DECADE: Final = 10**0.5
_RANGE: Final = re.compile(r"(?P<name>\w+)=(?P<low>[\d.]+(?:e\d+)?)\.\.(?P<high>[\d.]+(?:e\d+)?)", re.IGNORECASE)


class Range(click.ParamType[tuple[str, int, int]]):
    """``n=1e3..1e6``: what grows, from where to where."""

    name = "NAME=LOW..HIGH"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int, int]:
        """Return name, lowest and highest size."""
        match = _RANGE.fullmatch(str(value))
        low, high = (int(float(match[end])) for end in ("low", "high")) if match else (0, 0)
        if match is None or not 0 < low < high:
            self.fail(f"{value!r} is no range; write for example n=1e3..1e6", param, ctx)
        return match["name"], low, high


def sizes_of(low: int, high: int, points: int | None) -> list[int]:
    """Return `points` sizes from `low` to `high`, evenly spaced on logarithms; without a number two a decade."""
    import math

    steps = max(1, points - 1 if points else round(math.log(high / low) / math.log(HALF_DECADE)))
    return sorted({round(low * (high / low) ** (step / steps)) for step in range(steps + 1)})


@click.command("scale")
@click.argument("task")
@click.argument("algorithm")
@click.option("--over", type=Range(), required=True, help="What grows, a whole number of the recipe, and its range.")
@click.option("--phase", default="", help="Which phase; the task's first by default.")
@click.option("--workload", default="", help="Which data; by default the first whose recipe has what grows.")
@click.option("--points", type=click.IntRange(min=2), help="How many sizes; by default two a decade.")
@click.option("--framework", "frameworks", default="", help="Only these, with commas; the reference runs in any case.")
@profile_option("How much time each size may take.")
@threads_option
@click.option(
    "--call-cap",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Leave out a member, and end where it is the reference, whose next call would take more seconds than this.",
)
@results_option
@json_option
@benches_option
def scale(
    task: str,
    algorithm: str,
    over: tuple[str, int, int],
    phase: str,
    workload: str,
    points: int | None,
    frameworks: str,
    profile: str,
    threads: int,
    call_cap: float,
    results: Path,
    as_json: bool,  # noqa: FBT001 - click's flag
    benches: Path,
) -> None:
    """Measure how the time of ALGORITHM of TASK grows with the size of its data.

    Each size is checked for parity and timed in turns like any benchmark; then time = a·size^b is fitted to each
    framework, and where two cross is said. Finished sizes are shown and saved even after Ctrl-C. The exit status is 1
    where a member failed its checks.

    Example: duet scale regression lasso --over n=1e3..1e6
    """
    from pytest_duet.session import Session
    from pytest_duet.spec.suite import load_suite

    name, low, high = over
    suite = load_suite(benches.resolve())
    key = _key(suite, task, algorithm, phase, workload, name)
    known("profile", profile, suite.profiles)
    chosen = {each for each in frameworks.split(",") if each}
    progress = Progress()
    done: list[int] = []
    with Session(results, profile, progress=progress) as session:
        session.check_writable()
        with session.interruptible():
            for size in sizes_of(low, high, points):
                progress.where = f"{name} = {size}"
                group = _group(suite, key, profile, {name: size}, threads, call_cap)
                members = _affordable(group.spec, session.groups, done, size, chosen, call_cap)
                if group.spec.reference not in members:
                    progress.line(
                        f"{name} = {size} and above: the reference would take more than {call_cap:g} s a call"
                    )
                    break
                progress.line(f"{progress.where}: {', '.join(members)}")
                session.run(group, members)
                done.append(size)
    if not session.groups:
        raise click.Abort
    run = session.analysed()
    saved = session.save(run)
    if as_json:
        print_json(pages.document(run, name, done))
    else:
        shown = console()
        click.echo(pages.render(run, name, done, shown.width, ascii_only=shown.ascii_only), nl=False)
    for error in session.errors:
        progress.line(f"duet: not saved: {error}")
    if saved is not None:
        progress.line(f"saved: {saved}")
    if session.errors:
        raise SystemExit(int(Exit.STORAGE_FAILED))
    statuses = {member.status for group in run.groups for member in group.members}
    if any(STATUSES[status].outcome == "failed" for status in statuses):
        raise SystemExit(int(Exit.FAILED))


def _key(suite: Suite, task: str, algorithm: str, phase: str, workload: str, over: str) -> GroupKey:
    """Return the group that grows: of those of the algorithm the first that has what grows."""
    from pytest_duet.spec.suite import group_keys

    known("task", task, suite.tasks)
    spec = suite.tasks[task]
    known("algorithm", algorithm, spec.algorithms)
    keys = [key for key in group_keys(task, spec) if key.algorithm == algorithm]
    phase = phase or keys[0].phase
    known("phase", phase, dict.fromkeys(key.phase for key in keys))
    keys = [key for key in keys if key.phase == phase]
    if workload:
        known("workload", workload, [key.workload for key in keys])
        return next(key for key in keys if key.workload == workload)
    names: dict[str, None] = {}
    for key in keys:
        entry = spec.workloads[key.workload]
        whole = {
            name for params in (entry.data, *entry.profiles.values()) for name, v in params.items() if type(v) is int
        }
        names.update(dict.fromkeys(sorted(whole)))
        if over in whole:
            return key
    raise click.UsageError(f"no workload of {task} {algorithm} has a whole number {over!r}{nearest(over, names)}")


def _group(
    suite: Suite, key: GroupKey, profile: str, data: dict[str, int], threads: int, call_cap: float
) -> BoundGroup:
    from pytest_duet.binding.bind import bind
    from pytest_duet.spec.resolve import group_spec

    try:
        spec = group_spec(suite, key, profile, threads=threads, data=data)
        # The profile's cap is for its own sizes.
        budget = msgspec.structs.replace(spec.budget, call_cap_seconds=call_cap)
        return bind(msgspec.structs.replace(spec, budget=budget), suite.benches, suite.project / DATA_CACHE)
    except SpecError as error:
        raise click.UsageError(str(error)) from error


def _affordable(
    spec: GroupSpec, groups: list[GroupRecord], sizes: list[int], size: int, chosen: set[str], call_cap: float
) -> list[str]:
    """Return the members that were chosen and whose call, by how it grew so far, stays below the cap."""
    return [
        member.name
        for member in spec.members
        if (not chosen or {member.name, member.framework} & chosen or member.name == spec.reference)
        and _expected_ns(member.name, groups, sizes, size) <= call_cap * 1e9
    ]


def _expected_ns(name: str, groups: list[GroupRecord], sizes: list[int], size: int) -> float:
    """Return what a call at `size` would take if it went on growing as between the last two sizes; 0 for unknown."""
    seen = []
    for at, group in zip(sizes, groups, strict=True):
        member = next((each for each in group.members if each.name == name), None)
        time = typical_call_ns(member) if member else None
        if member is None or "too slow" in member.reason:
            return float("inf")
        if time:
            seen.append((at, time))
    if not seen:
        return 0.0
    power = exponent([at for at, _ in seen[-2:]], [time for _, time in seen[-2:]]).value
    return float(seen[-1][1] * (size / seen[-1][0]) ** max(power or 1.0, 1.0))
