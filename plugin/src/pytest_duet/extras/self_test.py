"""Measure the harness itself: how often it alarms on nothing, what a round costs by itself, what a worker of its own changes.

Everything here is compared with itself.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.analysis import gate
from pytest_duet.analysis.comparison import compare_group
from pytest_duet.binding.bind import bind
from pytest_duet.binding.datasets import obtain
from pytest_duet.binding.member import launch_client
from pytest_duet.defaults import PROFILE
from pytest_duet.digests import content_digest
from pytest_duet.errors import Invalid
from pytest_duet.extras.ab import BASE, HEAD, as_pair, change_of, two_sides
from pytest_duet.measure.mode import DIRECT, base_and_head
from pytest_duet.phases.run import run_group
from pytest_duet.protocol import Job
from pytest_duet.spec.group import DataSpec, GroupSpec
from pytest_duet.spec.launch import function_launch as launch_of
from pytest_duet.spec.schema import Profile
from pytest_duet.workers.python import function_host
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.records.schema import Comparison
    from pytest_duet.spec.group import LaunchSpec

_ROUNDS: Final = 200
_REQUESTS: Final = 10
_SECONDS: Final = 60.0
CONFIDENCE: Final = 0.95


_UNOBSERVED: Final = dataclasses.replace(DIRECT, observed=False)


def spin(n: int) -> int:
    """Return the state of a small generator after `n` steps: work that takes as long as `n` says."""
    state = 1
    for _ in range(n):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return state


def noop() -> int:
    """Return at once: what a round takes then, the harness takes."""
    return 0


WORKLOADS: Final = {"short": 300, "middle": 10_000, "long": 120_000}
"""Steps of `spin` whose calls take some ten microseconds, about a millisecond, and some ten."""


@dataclass(frozen=True)
class Rate:
    """`alarms` in `decisions` on what had not changed, and the exact interval of the rate.

    Not counted are those `too_few`, whose cells were so few that nothing could have alarmed.
    """

    alarms: int
    decisions: int
    low: float
    high: float
    too_few: int = 0


@dataclass(frozen=True)
class Overhead:
    """What one path costs: ns on the clock in a call that does nothing, alone in a round; ns a round beside the clock."""

    path: str
    clock_ns: float
    beside_ns: float


def function_launch(function: Callable[..., object], *, direct: bool) -> LaunchSpec:
    """Return how a function at the top of its file is launched: in this process, or forked."""
    launch = launch_of(function, function.__name__)
    return launch if direct else msgspec.structs.replace(launch, kind="process")


def against_itself(
    case: str, launches: tuple[LaunchSpec, LaunchSpec], cache: Path, seconds: float, **params: int
) -> BoundGroup:
    """Return the group in which `spin` is compared with itself, launched in these two ways."""
    obtain(cache, content_digest(), dict)
    spec = GroupSpec(
        id=case,
        task=spin.__name__,
        algorithm="default",
        phase="call",
        workload="",
        reference=BASE,
        members=(),
        dtype="f64",
        profile=PROFILE,
        budget=Profile(group_seconds=seconds),
        data=DataSpec(digest=content_digest()),
    )
    return bind(as_pair(spec, case, two_sides(launches, "self", "python", params)), cache, cache)


def false_alarms(
    groups: Sequence[BoundGroup], decisions: int, progress: Callable[[str], None]
) -> tuple[Rate, dict[str, int]]:
    """Decide `decisions` times over `groups` in turn, in which nothing differs; return how often there was an alarm.

    Each is a gate of its own, so the rate is to be at most that gate's level. Also returns the verdicts that were given.

    Raises:
        Invalid: one could not be measured, or none for long enough.

    """
    alarms = too_few = 0
    verdicts: dict[str, int] = {}
    with Spawner() as spawner:
        for number in range(decisions):
            group = groups[number % len(groups)]
            progress(f"against itself, {number + 1} of {decisions}")
            record = run_group(group, selected=(BASE, HEAD), timed=True, mode=base_and_head(1), spawner=spawner)
            (change,) = gate.judge_family([change_of(group, record, 1)])
            if change.ratio is None:
                raise Invalid(f"{group.spec.id} could not be measured: {change.reason}")
            alarms += change.alarm
            too_few += change.smallest_change is None
            verdicts[change.verdict] = verdicts.get(change.verdict, 0) + 1
    if too_few == decisions:
        raise Invalid(f"in {decisions} decisions nothing could have alarmed: too few cells; give each more --seconds")
    return dataclasses.replace(rate(alarms, decisions - too_few), too_few=too_few), verdicts


def rate(alarms: int, decisions: int) -> Rate:
    """Return a share with its exact 95 % interval.

    Source: Clopper & Pearson (1934), Biometrika 26, computed by scipy.
    """
    from scipy.stats import binomtest

    found = binomtest(alarms, decisions).proportion_ci(CONFIDENCE)
    return Rate(alarms, decisions, float(found.low), float(found.high))


def overhead(path: str, launch: LaunchSpec) -> Overhead:
    """Return what `path` costs in rounds of one call that does nothing, started so: medians over many.

    Raises:
        MemberError: it cannot be started, or has no such call.

    """
    job = Job(
        task=noop.__name__,
        algorithm="default",
        phase="call",
        workload="",
        variant="",
        params={},
        seed=0,
        threads=1,
        device="cpu",
        dtype="f64",
        data={},
    )
    client = launch_client(launch, path, _SECONDS, host=lambda: function_host(noop, noop.__name__))
    try:
        client.hello()
        client.prepare(job)
        client.run(_ROUNDS, 1)
        clock: list[int] = []
        beside: list[float] = []
        for _ in range(_REQUESTS):
            started = time.perf_counter_ns()
            elapsed = client.run(_ROUNDS, 1).elapsed_ns
            beside.append((time.perf_counter_ns() - started - sum(elapsed)) / _ROUNDS)
            clock += elapsed
    finally:
        client.close()
    return Overhead(path, statistics.median(clock), statistics.median(beside))


def bias(case: str, cache: Path, seconds: float, progress: Callable[[str], None], **params: int) -> Comparison:
    """Compare a function in this process with itself in a worker: what is not 1 is the path's, not the work's.

    Raises:
        Invalid: one of the two could not be measured.

    """
    launches = (function_launch(spin, direct=True), function_launch(spin, direct=False))
    group = against_itself(case, launches, cache, seconds, **params)
    record = run_group(group, selected=(BASE, HEAD), timed=True, mode=_UNOBSERVED, progress=progress)
    (comparison,) = compare_group(record)
    if comparison.ratio is None:
        raise Invalid(f"{case} could not be measured: {comparison.reason}")
    return comparison
