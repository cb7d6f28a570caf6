"""``duet scale``: measure one algorithm at several sizes, and fit how the time of each framework grows."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

import click
import msgspec

from pytest_duet.cli import common_options as shared
from pytest_duet.cli.console import Progress, console, print_json
from pytest_duet.defaults import DATA_CACHE
from pytest_duet.errors import nearest
from pytest_duet.exit_status import Exit
from pytest_duet.records.timings import typical_call_ns
from pytest_duet.report import scale as pages
from pytest_duet.stats.scaling import exponent
from pytest_duet.vocabulary import STATUSES

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.ids import GroupKey
    from pytest_duet.records.schema import GroupRecord
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.spec.suite import Suite

HALF_DECADE: Final = 10**0.5
_RANGE: Final = re.compile(r"(?P<name>\w+)=(?P<low>[\d.]+(?:e\d+)?)\.\.(?P<high>[\d.]+(?:e\d+)?)", re.IGNORECASE)


def _range(_context: click.Context, _option: click.Parameter, text: str) -> tuple[str, int, int]:
    match = _RANGE.fullmatch(text)
    low, high = (int(float(match[end])) for end in ("low", "high")) if match else (0, 0)
    if match is None or not 0 < low < high:
        raise click.BadParameter(f"{text!r} is not a range; write for example n=1e3..1e6")
    return match["name"], low, high


def sizes_of(low: int, high: int, points: int | None) -> list[int]:
    """Return `points` sizes from `low` to `high`, evenly spaced on a logarithmic scale; by default two per decade."""
    steps = max(1, points - 1 if points else round(math.log(high / low) / math.log(HALF_DECADE)))
    return sorted({round(low * (high / low) ** (step / steps)) for step in range(steps + 1)})


@click.command("scale")
@click.argument("task")
@click.argument("algorithm")
@click.option(
    "--over",
    callback=_range,
    required=True,
    metavar="NAME=LOW..HIGH",
    help="Integer of the data recipe, and its range.",
)
@click.option("--phase", default="", help="Phase; by default the task's first.")
@click.option("--workload", default="", help="Workload; by default the first whose recipe has the integer.")
@click.option("--points", type=click.IntRange(min=2), help="Number of sizes; by default two per decade.")
@click.option("--framework", "frameworks", default="", metavar="A,B", help="Only these; the reference always runs.")
@shared.profile_option("Profile: how much time each size may take.")
@shared.threads_option
@click.option(
    "--call-cap",
    default=5.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Leave out a member whose next call would take more seconds than this; stop where that is the reference.",
)
@shared.results_option
@shared.json_option
@shared.suite_option
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
    as_json: bool,
    suite: Suite,
) -> None:
    """Measure how the time of an algorithm grows with the size of its data.

    Each size is checked for parity and timed in turns like any benchmark. Then time = a·size^b is fitted to each
    framework, and the sizes where two of them cross are estimated. After Ctrl-C, the finished sizes are shown and saved.
    The exit status is 1 if a member failed a check.

    Example: duet scale regression lasso --over n=1e3..1e6
    """
    from pytest_duet.binding.bind import bind
    from pytest_duet.session import Session
    from pytest_duet.spec.resolve import group_spec

    name, low, high = over
    key = _key(suite, task, algorithm, phase, workload, name)
    shared.known("profile", profile, suite.profiles)
    chosen = {each for each in frameworks.split(",") if each}
    progress = Progress()
    done: list[int] = []
    with Session(results, profile, progress=progress) as session:
        session.check_writable()
        with session.interruptible():
            for size in sizes_of(low, high, points):
                progress.where = f"{name} = {size}"
                with shared.usage():
                    spec = group_spec(suite, key, profile, threads=threads, data={name: size})
                    # The profile's cap is for its own sizes.
                    budget = msgspec.structs.replace(spec.budget, call_cap_seconds=call_cap)
                    spec = msgspec.structs.replace(spec, budget=budget)
                    group = bind(spec, suite.benches, suite.project / DATA_CACHE)
                members = _affordable(spec, session.groups, done, size, chosen, call_cap)
                if spec.reference not in members:
                    why = f"the reference would take more than {call_cap:g} s a call"
                    progress.line(f"{progress.where} and above: {why}")
                    break
                progress.line(f"{progress.where}: {', '.join(members)}")
                session.run(group, members)
                done.append(size)
    if not session.groups:
        raise click.Abort
    run = session.analysed()
    if as_json:
        print_json(pages.document(run, name, done))
    else:
        shown = console()
        click.echo(pages.render(run, name, done, shown.width, ascii_only=shown.ascii_only), nl=False)
    progress.save(session)
    failed = any(STATUSES[member.status].outcome == "failed" for group in run.groups for member in group.members)
    raise SystemExit(int(session.status() or (Exit.FAILED if failed else Exit.PASSED)))


def _key(suite: Suite, task: str, algorithm: str, phase: str, workload: str, over: str) -> GroupKey:
    """Return the first group of the algorithm whose recipe has the integer `over`."""
    keys = shared.groups_of(suite, task, algorithm, phase)
    integers: set[str] = set()
    for key in shared.groups_of(suite, task, algorithm, phase or keys[0].phase, workload):
        entry = suite.tasks[task].workloads[key.workload]
        recipe = [entry.data, *entry.profiles.values()]
        integers |= {name for params in recipe for name, value in params.items() if type(value) is int}
        if over in integers:
            return key
    raise click.UsageError(f"no workload of {task} {algorithm} has an integer {over!r}{nearest(over, integers)}")


def _affordable(
    spec: GroupSpec, groups: list[GroupRecord], sizes: list[int], size: int, chosen: set[str], call_cap: float
) -> list[str]:
    """Return the chosen members whose next call is expected to stay below the cap."""
    return [
        member.name
        for member in spec.members
        if (not chosen or {member.name, member.framework} & chosen or member.name == spec.reference)
        and _expected_ns(member.name, groups, sizes, size) <= call_cap * 1e9
    ]


def _expected_ns(name: str, groups: list[GroupRecord], sizes: list[int], size: int) -> float:
    """Return the time of a call at `size`, extrapolated from the last two sizes; 0 if unknown."""
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
