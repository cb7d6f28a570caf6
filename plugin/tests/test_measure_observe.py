"""Observing a worker: every reading has a value or a reason, and a worker with more threads than allowed is refused."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.binding.datasets import DataSet
from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.errors import Crashed, MemberError, Refused, Unavailable
from pytest_duet.measure import observe as module
from pytest_duet.measure import prewarmed
from pytest_duet.measure.observe import observe, observe_members
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.records import store
from pytest_duet.report.formats import terminal
from pytest_duet.spec.group import LaunchSpec, MemberSpec
from pytest_duet.telemetry import cpu, memory
from pytest_duet.telemetry.probe import PROBES, Steps, Unreadable, register, unavailable
from pytest_duet.telemetry.probe import samples as telemetry_samples

from . import samples
from .fakes import messages, nvml
from .fakes.clients import FakeClient
from .fakes.groups import bound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.records.schema import Reading

METRICS = [
    *["peak_memory", "prepared_memory", "prepare_time", "first_call", "average_memory"],
    *["cpu_utilisation", "gpu_memory", "gpu_utilisation"],
]
LOST = nvml.NVMLError("GPU is lost")


class Process:
    """A process whose numbers are scripted; it uses `busy` CPUs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, busy: float = 1.0) -> None:
        self.peak, self.reset = 900, 0
        self.resident = itertools.cycle([100, 200, 300])
        wall = itertools.count(0, 1_000_000_000)
        used = itertools.count(0.0, busy * 1e9)
        monkeypatch.setattr(memory, "resident_bytes", lambda _: next(self.resident))
        monkeypatch.setattr(memory, "peak_bytes", lambda _: self.peak)
        monkeypatch.setattr(memory, "reset_peak", self._reset)
        monkeypatch.setattr(cpu, "used_ns", lambda _: int(next(used)))
        monkeypatch.setattr(module.time, "perf_counter_ns", lambda: next(wall))
        monkeypatch.setitem(sys.modules, "pynvml", None)

    def _reset(self, _: int) -> None:
        self.reset += 1
        self.peak = 400


def _observe(client: FakeClient | None = None, **job: Any) -> dict[str, Reading]:
    client = client or FakeClient("tch", itertools.count(1))
    readings = observe(client, messages.job(**job), call_ns=1e8, seconds=0.5)  # type: ignore[arg-type]
    return {reading.metric: reading for reading in readings}


def test_every_probe_gives_one_reading_in_a_fixed_order(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    readings = _observe()
    assert METRICS == list(readings) == [each.metric for each in unavailable("x")]
    assert ["bytes", "bytes", "ns", "ns", "bytes", "ratio", "bytes", "percent"] == [
        each.unit for each in readings.values()
    ]


def test_the_peak_is_that_of_one_call_without_preparation(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)
    readings = _observe()
    assert (1, 400, 100) == (process.reset, readings["peak_memory"].value, readings["prepared_memory"].value)


def test_averages_are_over_samples_taken_while_the_worker_works(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    readings = _observe(client)
    # One call for the peak, then half a second of calls that take 0.1 s each.
    assert [("tch", 1, 1, None), ("tch", 5, 1, None)] == client.log
    assert (200 + 300 + 100 + 200 + 300) / 5 == readings["average_memory"].value


def test_short_calls_are_combined_into_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    observe(client, messages.job(), call_ns=1e4, seconds=0.5)  # type: ignore[arg-type]
    assert ("tch", 2000, 25, None) == client.log[1]


def test_long_calls_are_rounds_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    observe(client, messages.job(), call_ns=1e6, seconds=0.5)  # type: ignore[arg-type]
    assert ("tch", 500, 1, None) == client.log[1]


def test_rounds_respect_the_most_calls_an_implementation_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    monkeypatch.setattr(client, "prepare", lambda _: messages.prepared(max_iterations=2))
    observe(client, messages.job(), call_ns=1e4, seconds=0.5)  # type: ignore[arg-type]
    assert ("tch", 2000, 2, None) == client.log[1]


def test_utilisation_is_cpu_time_over_wall_time(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch, busy=0.75)
    assert 0.75 == _observe()["cpu_utilisation"].value


def test_a_one_thread_member_that_keeps_two_cpus_busy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch, busy=2.0)
    with pytest.raises(Refused, match=r"tch kept 2\.00 "):
        _observe()


def test_a_two_thread_member_may_keep_two_cpus_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch, busy=2.0)
    assert 2.0 == _observe(threads=2)["cpu_utilisation"].value


def test_the_error_of_a_worker_that_dies_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    with pytest.raises(Crashed, match="gone"):
        _observe(FakeClient("tch", [1, Crashed("gone")]))


# --- what cannot be read ----------------------------------------------------------------------------------------------


def test_where_proc_is_hidden_every_reading_has_that_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(_: int) -> int:
        raise PermissionError(13, "Permission denied")

    Process(monkeypatch)
    monkeypatch.setattr(memory, "peak_bytes", hidden)
    readings = _observe()
    assert METRICS == list(readings)
    assert {(None, "/proc cannot be read: [Errno 13] Permission denied")} == {
        (each.value, each.reason) for each in readings.values()
    }


def test_without_cpu_time_only_the_utilisation_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: int) -> int:
        raise OSError("no such process")

    Process(monkeypatch)
    monkeypatch.setattr(cpu, "used_ns", gone)
    readings = _observe()
    reading = readings["cpu_utilisation"]
    assert (None, "CPU time cannot be read: no such process") == (reading.value, reading.reason)
    assert readings["average_memory"].value


def test_a_mean_without_samples_has_that_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)

    def once(_: int) -> int:
        monkeypatch.setattr(memory, "resident_bytes", _gone)
        return next(process.resident)

    def _gone(_: int) -> int:
        raise OSError

    monkeypatch.setattr(memory, "resident_bytes", once)
    reading = _observe()["average_memory"]
    assert (None, "no sample could be taken") == (reading.value, reading.reason)


# --- GPU --------------------------------------------------------------------------------------------------------------


def _gpu(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[Reading, Reading]:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    sizes = itertools.count(1)
    listed = {"nvmlDeviceGetComputeRunningProcesses": lambda _: [nvml.process(client.pid, next(sizes))]}
    monkeypatch.setitem(sys.modules, "pynvml", nvml.make(**{**listed, **answers}))
    readings = _observe(client)
    return readings["gpu_memory"], readings["gpu_utilisation"]


def test_a_gpu_is_sampled_while_the_worker_works(monkeypatch: pytest.MonkeyPatch) -> None:
    held, busy = _gpu(monkeypatch)
    assert (5, 40.0, "", "") == (held.value, busy.value, held.reason, busy.reason)


def test_without_a_gpu_its_readings_have_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    held, busy = _gpu(monkeypatch, nvmlInit=nvml.NVMLError("Driver Not Loaded"))
    assert [(None, "no NVIDIA driver: Driver Not Loaded")] * 2 == [(each.value, each.reason) for each in (held, busy)]


def test_a_gpu_lost_midway_has_a_reason_and_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([[nvml.process(1, 1)], [nvml.process(1, 1)]])
    rates = iter([SimpleNamespace(gpu=40), SimpleNamespace(gpu=40)])
    held, busy = _gpu(
        monkeypatch,
        nvmlDeviceGetComputeRunningProcesses=lambda _: next(sizes, LOST),
        nvmlDeviceGetUtilizationRates=lambda _: next(rates, LOST),
    )
    assert [(None, True)] * 2 == [(each.value, "GPU is lost" in each.reason) for each in (held, busy)]


def test_a_gpu_slice_without_utilisation_still_reports_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    held, busy = _gpu(monkeypatch, nvmlDeviceGetUtilizationRates=nvml.NVMLError("Not Supported"))
    assert (5, "") == (held.value, held.reason)
    assert (None, True) == (busy.value, "Not Supported" in busy.reason)


# --- a probe from outside ---------------------------------------------------------------------------------------------


@pytest.fixture
def page_faults() -> Iterator[list[int]]:
    """A probe that no module of the package knows; it returns the sum of these for each sample."""
    counts = [1]

    @register("page_faults", "faults", 45)
    def page_faults(_pid: int) -> Steps:
        seen = yield from telemetry_samples(lambda: sum(counts))
        if not any(seen):
            raise Unreadable("the kernel counts none")
        return sum(seen)

    yield counts
    del PROBES["page_faults"]


def test_a_registered_probe_is_read_like_any_other(
    monkeypatch: pytest.MonkeyPatch, page_faults: list[int], tmp_path: Path
) -> None:
    assert page_faults == [1]
    Process(monkeypatch)
    readings = _observe()
    assert "page_faults" == list(readings)[4]
    assert (5, "faults") == (readings["page_faults"].value, readings["page_faults"].unit)
    assert "page_faults" in {each.metric for each in unavailable("x")}
    run = samples.run(samples.group(samples.reference(readings=list(readings.values()))))
    saved = store.save(run, tmp_path)
    assert run.groups[0].members[0].readings == store.load(saved).groups[0].members[0].readings
    assert '"metric":"page_faults"' in saved.read_text().replace(" ", "")
    assert "page faults 5.00 faults" in " ".join(terminal.render(run, 120, 1).split())


def test_a_registered_probe_that_cannot_tell_has_its_reason(
    monkeypatch: pytest.MonkeyPatch, page_faults: list[int]
) -> None:
    Process(monkeypatch)
    page_faults.clear()
    reading = _observe()["page_faults"]
    assert (None, "the kernel counts none") == (reading.value, reading.reason)


# --- a whole group ----------------------------------------------------------------------------------------------------


class Observed:
    """Members whose workers are scripted; the log holds what is started, observed and closed, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **workers: FakeClient | MemberError) -> None:
        Process(monkeypatch)
        self.log: list[str] = []
        self._workers = workers
        members = [MemberSpec(name, name, "", "rival", "rust", LaunchSpec("process")) for name in workers]
        self.live = LiveGroup(bound(members), list(workers), progress=self._progress)
        self.live.files = DataSet("", {}, {}, {})
        monkeypatch.setattr(prewarmed, "open_client", self._open)
        monkeypatch.setattr(module, "make_job", lambda *_: messages.job())
        for each in self.live.members.values():
            each.call_ns = 1e8

    def _progress(self, what: str) -> None:
        self.log.append(what.partition(": ")[2])

    def _open(self, _: BoundGroup, name: str, *, served: bool) -> FakeClient:
        assert served
        self.log.append(f"start {name}")
        worker = self._workers[name]
        if isinstance(worker, MemberError):
            raise worker
        worker.close = lambda: self.log.append(f"close {name}")  # type: ignore[attr-defined]
        return worker

    def observe(self) -> list[Member]:
        observe_members(self.live, Prewarmed())
        return list(self.live.members.values())


def test_all_workers_start_before_the_first_is_observed_and_each_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, a=FakeClient("a", itertools.count(1)), b=FakeClient("b", itertools.count(1)))
    members = observed.observe()
    assert ["start a", "start b", "observing a", "close a", "observing b", "close b"] == observed.log[:6]
    assert [sorted(METRICS)] * 2 == [sorted(reading.metric for reading in each.readings) for each in members]
    assert ["ok", "ok"] == [each.status for each in members]


def test_a_worker_that_fails_costs_its_member_only_the_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    dies = FakeClient("b", [1, Crashed("gone")])
    observed = Observed(monkeypatch, a=Unavailable("no file"), b=dies, c=FakeClient("c", itertools.count(1)))
    a, b, c = observed.observe()
    assert ["ok"] * 3 == [each.status for each in (a, b, c)]
    assert {(None, "no file")} == {(each.value, each.reason) for each in a.readings}
    assert {(None, "the observed worker failed: gone")} == {(each.value, each.reason) for each in b.readings}
    assert any(each.value for each in c.readings)
    assert {"close b", "close c"} <= set(observed.log)


def test_a_member_that_uses_more_than_its_one_thread_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, a=FakeClient("a", itertools.count(1)))
    used = itertools.count(0, 2_000_000_000)
    monkeypatch.setattr(cpu, "used_ns", lambda _: next(used))
    (member,) = observed.observe()
    assert ("failed", True) == (member.status, "kept 2.00" in member.reason)
