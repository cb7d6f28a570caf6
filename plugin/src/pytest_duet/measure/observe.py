"""Watch one member work in a fresh process, from outside and off the clock: memory, processor, GPU.

Not for times: what is watched is never timed.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from pytest_duet.binding import attest
from pytest_duet.binding.member import make_job
from pytest_duet.errors import MemberError, Refused
from pytest_duet.records.schema import Reading
from pytest_duet.telemetry import cpu, memory
from pytest_duet.telemetry.gpu import Gpu, GpuUnavailable, device

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.binding.group import LiveGroup
    from pytest_duet.measure.prewarmed import Prewarmed, Upcoming
    from pytest_duet.protocol import Job
    from pytest_duet.workers.client import Client

_MOST_ROUNDS = 2000
_MANY = 1_000_000

_METRICS = {
    "peak_memory": "bytes",
    "average_memory": "bytes",
    "prepared_memory": "bytes",
    "prepare_time": "ns",
    "first_call": "ns",
    "cpu_utilisation": "ratio",
    "gpu_memory": "bytes",
    "gpu_utilisation": "percent",
}


def unavailable(reason: str) -> list[Reading]:
    """Return every reading without a value, for `reason`."""
    return [Reading(metric=metric, unit=unit, value=None, reason=reason) for metric, unit in _METRICS.items()]


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


class _Sampler:
    """Collects memory and GPU samples of one process each time it is called."""

    def __init__(self, pid: int, gpu: Gpu | None) -> None:
        self.pid, self.gpu = pid, gpu
        self.resident: list[int] = []
        self.gpu_memory: list[int] = []
        self.gpu_utilisation: list[int] = []
        self.memory_reason = self.utilisation_reason = ""

    def __call__(self) -> None:
        try:
            self.resident.append(memory.resident_bytes(self.pid))
        except OSError:
            # It may just have ended; the request that waits for it will say so.
            return
        if self.gpu is None:
            return
        # Each on its own: a slice of a GPU tells its memory and not its utilisation.
        if not self.memory_reason:
            try:
                self.gpu_memory.append(self.gpu.memory_bytes(self.pid))
            except GpuUnavailable as error:
                self.memory_reason = f"lost or unsupported: {error}"
        if not self.utilisation_reason:
            try:
                self.gpu_utilisation.append(self.gpu.utilisation_percent())
            except GpuUnavailable as error:
                self.utilisation_reason = f"lost or unsupported: {error}"


def observe(client: Client, job: Job, *, call_ns: float, seconds: float) -> list[Reading]:
    """Return the readings of `client`, a fresh and unpinned worker, doing `job` for about `seconds`.

    Raises:
        Refused: it kept more processors busy than it was asked to.
        MemberError: the worker failed.

    """
    client.hello()
    start = time.perf_counter_ns()
    prepared = client.prepare(job)
    prepare_ns = time.perf_counter_ns() - start
    with ExitStack() as stack:
        gpu, gpu_reason = _gpu(stack)
        sampler = _Sampler(client.pid, gpu)
        try:
            readings = [_reading("prepared_memory", memory.resident_bytes(client.pid))]
            memory.reset_peak(client.pid)
            first = client.run(1, 1)
            readings.insert(0, _reading("peak_memory", memory.peak_bytes(client.pid)))
        except OSError as error:
            return unavailable(f"/proc does not tell: {error}")
        before, _ = _used_ns(client.pid)
        wall = _work(client, sampler, call_ns, seconds, prepared.max_iterations)
        after, cpu_reason = _used_ns(client.pid)
    busy = None if before is None or after is None else after - before
    if busy is not None:
        attest.check_busy(busy, wall, name=client.name, threads=job.threads)
    # Cold: what a process that has just imported its libraries makes of its first job.
    readings += [_reading("prepare_time", prepare_ns), _reading("first_call", first.elapsed_ns[0])]
    readings.append(_reading("average_memory", _mean(sampler.resident), "no sample could be taken"))
    readings.append(_reading("cpu_utilisation", None if busy is None else busy / wall, cpu_reason))
    # What was lost midway has seen only a part: no value, rather than one that is too small.
    reason = gpu_reason or sampler.memory_reason
    readings.append(_reading("gpu_memory", None if reason else max(sampler.gpu_memory, default=None), reason))
    reason = gpu_reason or sampler.utilisation_reason
    readings.append(_reading("gpu_utilisation", None if reason else _mean(sampler.gpu_utilisation), reason))
    return readings


def _used_ns(pid: int) -> tuple[int | None, str]:
    try:
        return cpu.used_ns(pid), ""
    except OSError as error:
        return None, f"processor time cannot be read: {error}"


def _work(client: Client, sampler: _Sampler, call_ns: float, seconds: float, most_calls: int | None) -> int:
    """Keep the worker at work for about `seconds`; return the wall time that took, in ns."""
    # As many rounds as a reply has room for and as few calls in each: their results lie in memory side by side.
    calls = min(most_calls or _MANY, max(1, math.ceil(seconds * 1e9 / (call_ns * _MOST_ROUNDS))))
    rounds = min(_MOST_ROUNDS, max(1, math.ceil(seconds * 1e9 / (call_ns * calls))))
    start = time.perf_counter_ns()
    client.run(rounds, calls, tick=sampler)
    return time.perf_counter_ns() - start


def _gpu(stack: ExitStack) -> tuple[Gpu | None, str]:
    try:
        return stack.enter_context(device()), ""
    except GpuUnavailable as error:
        return None, str(error)


def _mean(samples: list[int]) -> float | None:
    return sum(samples) / len(samples) if samples else None


def _reading(metric: str, value: float | None, reason: str = "") -> Reading:
    return Reading(metric=metric, unit=_METRICS[metric], value=value, reason="" if value is not None else reason)
