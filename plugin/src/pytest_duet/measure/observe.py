"""Observe one member at work in a fresh process, from outside and unpinned; what is observed is never timed."""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from pytest_duet.binding import attest
from pytest_duet.binding.member import make_job
from pytest_duet.errors import MemberError, Refused
from pytest_duet.telemetry.cpu import cpu_utilisation
from pytest_duet.telemetry.probe import Unobservable, unavailable, watch
from pytest_duet.values import from_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.binding.live_group import LiveGroup
    from pytest_duet.measure.prewarmed import Prewarmed, Upcoming
    from pytest_duet.protocol import Job
    from pytest_duet.records.schema import Reading
    from pytest_duet.workers.client import Client

_MOST_ROUNDS = 2000
_MOST_CALLS = 1_000_000


def observe_members(live: LiveGroup, prewarmed: Prewarmed, upcoming: Upcoming | None = None) -> None:
    """Give every selected member of `live` that is ok the readings of a fresh process of its own, in both languages alike.

    All of them have imported what they need before the first is observed. Then a process for the `upcoming` group is
    started: nothing is timed here, so it may import its libraries while others are at work.
    """
    group, seconds = live.group, live.spec.budget.observe_seconds
    members = live.ready()
    with ExitStack() as stack:
        clients = {}
        for name, member in members.items():
            try:
                clients[name] = client = prewarmed.take(group, name)
            except MemberError as error:
                member.readings += unavailable(str(error))
                continue
            stack.callback(client.close)
        for client in clients.values():
            # One that cannot even greet gives its reason when its turn comes.
            with suppress(MemberError):
                client.hello()
        if upcoming:
            prewarmed.start(upcoming)
        for name, client in clients.items():
            live.progress(f"observing {name}")
            member = members[name]
            try:
                job = make_job(group, name, live.files)
                member.readings += observe(client, job, call_ns=member.call_ns, seconds=seconds)
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
            probes.at("prepared", prepare_ns)
            first = client.run(1, 1)
            probes.at("called", first.elapsed_ns[0])
        except Unobservable as error:
            return unavailable(str(error))
        probes.at("begin")
        wall_ns = _work(client, partial(probes.at, "sample"), call_ns, seconds, prepared.max_iterations)
        probes.at("end", wall_ns)
        readings = probes.readings()
    for reading in readings:
        if reading.metric == cpu_utilisation.name and reading.value is not None:
            cpu_ns = round(from_number(reading.value) * wall_ns)
            attest.check_busy(cpu_ns, wall_ns, name=client.name, threads=job.threads)
    return readings


def _work(client: Client, tick: Callable[[], None], call_ns: float, seconds: float, most_calls: int | None) -> int:
    """Keep the worker at work for about `seconds`; return the wall time that took, in ns."""
    # As many rounds as a reply has room for, with as few calls in each: the results of a round are in memory together.
    calls = min(most_calls or _MOST_CALLS, max(1, math.ceil(seconds * 1e9 / (call_ns * _MOST_ROUNDS))))
    rounds = min(_MOST_ROUNDS, max(1, math.ceil(seconds * 1e9 / (call_ns * calls))))
    start = time.perf_counter_ns()
    client.run(rounds, calls, tick=tick)
    return time.perf_counter_ns() - start
