"""Measure the harness itself: its rate of false alarms, its cost per round, and the bias of a worker process.

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
from pytest_duet.defaults import PRINTED
from pytest_duet.digests import content_digest
from pytest_duet.errors import Invalid
from pytest_duet.extras.ab_pair import BASE, HEAD, change_of, launched_pair
from pytest_duet.ids import GroupKey
from pytest_duet.measure.mode import DIRECT, base_and_head
from pytest_duet.protocol import Job
from pytest_duet.session import run_group
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
_UNOBSERVED: Final = dataclasses.replace(DIRECT, observed=False)


def spin(n: int) -> int:
    """Return the state of a small random generator after `n` steps: work in proportion to `n`."""
    state = 1
    for _ in range(n):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    return state


def noop() -> int:
    """Return at once: the time of a round is then the harness's own."""
    return 0


WORKLOADS: Final = {"short": 300, "middle": 10_000, "long": 120_000}
"""Steps of `spin` for calls of some 10 µs, about 1 ms, and some 10 ms."""


@dataclass(frozen=True)
class Rate:
    """`alarms` in `decisions` without any change, and the exact interval of the rate.

    `too_few` more decisions had too few cells for an alarm and are not counted.
    """

    alarms: int
    decisions: int
    low: float
    high: float
    too_few: int = 0


@dataclass(frozen=True)
class Overhead:
    """The cost of one path: ns of an empty call on the worker's clock, and ns per round beside it."""

    path: str
    clock_ns: float
    beside_ns: float


def function_launch(function: Callable[..., object], *, direct: bool) -> LaunchSpec:
    """Return how a function at the top level of its file is launched: in this process, or in a forked one."""
    launch = launch_of(function, function.__name__)
    return launch if direct else msgspec.structs.replace(launch, kind="process")


def against_itself(
    case: str, launches: tuple[LaunchSpec, LaunchSpec], cache: Path, seconds: float, **params: int
) -> BoundGroup:
    """Return the group that compares `spin` with itself, launched in two ways."""
    obtain(cache, content_digest(), dict)
    key = GroupKey(spin.__name__, "default", "call", "")
    budget = Profile(group_seconds=seconds)
    spec = launched_pair(key, launches, "python", params, content_digest(), case=case, budget=budget)
    return bind(spec, cache, cache)


def false_alarms(
    groups: Sequence[BoundGroup], decisions: int, progress: Callable[[str], None]
) -> tuple[Rate, dict[str, int]]:
    """Decide `decisions` times over `groups` in turn, without any change; return the rate of alarms and the verdicts.

    Each decision is a gate of its own, so the rate must be at most the level of a gate.

    Raises:
        Invalid: a group could not be measured, or none for long enough.
    """
    alarms = too_few = 0
    verdicts: dict[str, int] = {}
    with Spawner() as spawner:
        for number in range(decisions):
            group = groups[number % len(groups)]
            progress(f"{group.spec.id}: decision {number + 1} of {decisions}")
            record = run_group(group, selected=(BASE, HEAD), timed=True, mode=base_and_head(1), spawner=spawner)
            (change,) = gate.judge_family([change_of(group, record, 1)])
            if change.ratio is None:
                raise Invalid(f"{group.spec.id} could not be measured: {change.reason}")
            alarms += change.alarm
            too_few += change.smallest_change is None
            verdicts[change.verdict] = verdicts.get(change.verdict, 0) + 1
    if too_few == decisions:
        raise Invalid(f"none of {decisions} decisions had enough cells for an alarm; give each more --seconds")
    return dataclasses.replace(rate(alarms, decisions - too_few), too_few=too_few), verdicts


def rate(alarms: int, decisions: int) -> Rate:
    """Return a rate with its exact 95 % interval.

    Source: Clopper & Pearson (1934), Biometrika 26, computed by scipy.
    """
    from scipy.stats import binomtest

    found = binomtest(alarms, decisions).proportion_ci(PRINTED)
    return Rate(alarms, decisions, float(found.low), float(found.high))


def overhead(path: str, launch: LaunchSpec) -> Overhead:
    """Return the cost of `path`, launched with `launch`: medians over many rounds of one empty call.

    Raises:
        MemberError: it cannot be started, or has no such call.
    """
    job = Job(
        task=noop.__name__, algorithm="default", phase="call", workload="", variant="", params={}, seed=0, threads=1,
        device="cpu", dtype="f64", data={},
    )  # fmt: skip
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
    """Compare a function in a worker with itself in this process; a ratio other than 1 is the bias of the path.

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
