"""Observe one member at work in a fresh process, from outside and unpinned; what is observed is never timed."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from pytest_duet.binding import member as step
from pytest_duet.errors import MemberError, Refused
from pytest_duet.protocol import from_number
from pytest_duet.telemetry.cpu import CpuUtilisation
from pytest_duet.telemetry.probe import Unobservable, unavailable, watch
from pytest_duet.validate import attest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pytest_duet.binding.member import Files, Member
    from pytest_duet.measure.prewarmed import Prewarmed
    from pytest_duet.protocol import Job
    from pytest_duet.records.schema import Reading
    from pytest_duet.spec.group import GroupSpec, MemberSpec
    from pytest_duet.workers.client import Client

_MOST_ROUNDS = 2000
_MOST_CALLS = 1_000_000


def observe_members(
    members: Sequence[Member],
    group: GroupSpec,
    files: Files,
    progress: Callable[[str], None],
    prewarmed: Prewarmed,
    upcoming: Iterable[MemberSpec] = (),
) -> None:
    """Add to each of `members` the readings of a fresh process of its own, for every language alike.

    All processes have imported their libraries before the first is observed. Then processes for the `upcoming` group are
    started: nothing is timed here, so they may import their libraries while others work.
    """
    with ExitStack() as stack:
        clients = {}
        for member in members:
            try:
                client = prewarmed.take(member.plan, group.budget.request_seconds)
            except MemberError as error:
                member.readings += unavailable(str(error))
                continue
            stack.callback(client.close)
            clients[member.plan.name] = client
        for client in clients.values():
            # A worker that cannot even answer reports why when it is observed.
            with suppress(MemberError):
                client.hello()
        prewarmed.start(upcoming, group.budget.request_seconds)
        for member in members:
            if member.plan.name not in clients:
                continue
            progress(f"observing {member.plan.name}")
            client = clients[member.plan.name]
            try:
                job = step.make_job(group, member.plan, files)
                member.readings += observe(client, job, call_ns=member.call_ns, seconds=group.budget.observe_seconds)
            except Refused as error:
                member.fail(error)
            except MemberError as error:
                member.readings += unavailable(f"the observed worker failed: {error}")
            client.close()


def observe(client: Client, job: Job, *, call_ns: float, seconds: float) -> list[Reading]:
    """Return the readings of every probe on `client`, a fresh and unpinned worker, doing `job` for about `seconds`.

    Raises:
        Refused: the worker kept more CPUs busy than the job allows.
        MemberError: the worker failed.

    """
    client.hello()
    start = time.perf_counter_ns()
    prepared = client.prepare(job)
    prepare_ns = time.perf_counter_ns() - start
    with watch(client.pid) as probes:
        try:
            probes.prepared(prepare_ns)
            first = client.run(1, 1)
            probes.called(first.elapsed_ns[0])
        except Unobservable as error:
            return unavailable(str(error))
        probes.begin()
        wall_ns = _work(client, probes.sample, call_ns, seconds, prepared.max_iterations)
        probes.end(wall_ns)
        readings = probes.readings()
    _check_busy(readings, wall_ns, client.name, job.threads)
    return readings


def _check_busy(readings: Iterable[Reading], wall_ns: int, name: str, threads: int) -> None:
    for reading in readings:
        if reading.metric == CpuUtilisation.name and reading.value is not None:
            attest.check_busy(round(from_number(reading.value) * wall_ns), wall_ns, name=name, threads=threads)


def _work(client: Client, tick: Callable[[], None], call_ns: float, seconds: float, most_calls: int | None) -> int:
    """Keep the worker at work for about `seconds`; return the wall time that took, in ns."""
    # As many rounds as a reply has room for, with as few calls in each: the results of a round are in memory together.
    calls = min(most_calls or _MOST_CALLS, max(1, math.ceil(seconds * 1e9 / (call_ns * _MOST_ROUNDS))))
    rounds = min(_MOST_ROUNDS, max(1, math.ceil(seconds * 1e9 / (call_ns * calls))))
    start = time.perf_counter_ns()
    client.run(rounds, calls, tick=tick)
    return time.perf_counter_ns() - start
