"""Watching a worker: every reading has a value or a reason, and one that breaks its promise is refused."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.binding.member import Files, Member
from pytest_duet.errors import Crashed, MemberError, Refused, Unavailable
from pytest_duet.measure import observe as module
from pytest_duet.measure import prewarmed
from pytest_duet.measure.observe import observe, observe_members, unavailable
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.spec.group import LaunchSpec, MemberSpec
from pytest_duet.spec.schema import Profile
from pytest_duet.telemetry import memory

from .fakes import messages, nvml
from .fakes.clients import FakeClient

if TYPE_CHECKING:
    from pytest_duet.records.schema import Reading

METRICS = [
    *["peak_memory", "average_memory", "prepared_memory", "prepare_time", "first_call"],
    *["cpu_utilisation", "gpu_memory", "gpu_utilisation"],
]
LOST = nvml.NVMLError("GPU is lost")


class Process:
    """A process whose figures are scripted; it uses `busy` times the wall clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, busy: float = 1.0) -> None:
        self.peak, self.reset = 900, 0
        self.resident = itertools.cycle([100, 200, 300])
        wall = itertools.count(0, 1_000_000_000)
        used = itertools.count(0.0, busy * 1e9)
        monkeypatch.setattr(memory, "resident_bytes", lambda _: next(self.resident))
        monkeypatch.setattr(memory, "peak_bytes", lambda _: self.peak)
        monkeypatch.setattr(memory, "reset_peak", self._reset)
        monkeypatch.setattr(module.cpu, "used_ns", lambda _: int(next(used)))
        monkeypatch.setattr(module.time, "perf_counter_ns", lambda: next(wall))
        monkeypatch.setitem(sys.modules, "pynvml", None)

    def _reset(self, _: int) -> None:
        self.reset += 1
        self.peak = 400


def _observe(client: FakeClient | None = None, **job: Any) -> dict[str, Reading]:
    client = client or FakeClient("tch", itertools.count(1))
    readings = observe(client, messages.job(**job), call_ns=1e8, seconds=0.5)  # type: ignore[arg-type]
    return {reading.metric: reading for reading in readings}


def test_every_metric_is_read_once_with_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    assert {each.metric: each.unit for each in unavailable("x")} == {
        name: reading.unit for name, reading in _observe().items()
    }


def test_the_peak_is_that_of_one_call_and_not_of_preparing(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Process(monkeypatch)
    readings = _observe()
    assert (1, 400, 100) == (process.reset, readings["peak_memory"].value, readings["prepared_memory"].value)


def test_averages_are_taken_while_the_worker_works(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    readings = _observe(client)
    # One call for the peak; then half a second of calls that take 0.1 s each.
    assert [("tch", 1, 1, None), ("tch", 5, 1, None)] == client.log
    assert (200 + 300 + 100 + 200 + 300) / 5 == readings["average_memory"].value


def test_short_calls_are_put_together_into_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    observe(client, messages.job(), call_ns=1e4, seconds=0.5)  # type: ignore[arg-type]
    assert ("tch", 2000, 25, None) == client.log[1]


def test_calls_that_are_long_enough_are_rounds_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    observe(client, messages.job(), call_ns=1e6, seconds=0.5)  # type: ignore[arg-type]
    assert ("tch", 500, 1, None) == client.log[1]


def test_an_implementation_that_allows_few_calls_a_round_is_not_asked_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    client = FakeClient("tch", itertools.count(1))
    monkeypatch.setattr(client, "prepare", lambda _: messages.prepared(max_iterations=2))
    observe(client, messages.job(), call_ns=1e4, seconds=0.5)  # type: ignore[arg-type]
    assert ("tch", 2000, 2, None) == client.log[1]


def test_utilisation_is_processor_time_over_wall_time(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch, busy=0.75)
    assert 0.75 == _observe()["cpu_utilisation"].value


def test_a_one_thread_member_that_kept_two_processors_busy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch, busy=2.0)
    with pytest.raises(Refused, match=r"tch kept 2\.00 processors busy where one thread was asked"):
        _observe()


def test_a_member_that_was_asked_for_two_threads_may_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch, busy=2.0)
    assert 2.0 == _observe(threads=2)["cpu_utilisation"].value


def test_a_worker_that_dies_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    Process(monkeypatch)
    with pytest.raises(Crashed, match="gone"):
        _observe(FakeClient("tch", [1, Crashed("gone")]))


# --- what cannot be read ----------------------------------------------------------------------------------------------


def test_without_proc_every_reading_has_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def hidden(_: int) -> int:
        raise PermissionError(13, "Permission denied")

    Process(monkeypatch)
    monkeypatch.setattr(memory, "peak_bytes", hidden)
    readings = _observe()
    assert METRICS == list(readings)
    assert {(None, "/proc does not tell: [Errno 13] Permission denied")} == {
        (each.value, each.reason) for each in readings.values()
    }


def test_without_processor_time_the_group_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: int) -> int:
        raise OSError("no such process")

    Process(monkeypatch)
    monkeypatch.setattr(module.cpu, "used_ns", gone)
    reading = _observe()["cpu_utilisation"]
    assert (None, True) == (reading.value, "no such process" in reading.reason)


def test_if_no_sample_could_be_taken_that_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_without_a_gpu_the_reason_is_named_and_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    held, busy = _gpu(monkeypatch, nvmlInit=nvml.NVMLError("Driver Not Loaded"))
    assert [(None, "no NVIDIA driver: Driver Not Loaded")] * 2 == [(each.value, each.reason) for each in (held, busy)]


def test_a_gpu_that_is_lost_midway_has_no_value_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = iter([[nvml.process(1, 1)], [nvml.process(1, 1)]])
    rates = iter([SimpleNamespace(gpu=40), SimpleNamespace(gpu=40)])
    held, busy = _gpu(
        monkeypatch,
        nvmlDeviceGetComputeRunningProcesses=lambda _: next(sizes, LOST),
        nvmlDeviceGetUtilizationRates=lambda _: next(rates, LOST),
    )
    assert [(None, True)] * 2 == [(each.value, "GPU is lost" in each.reason) for each in (held, busy)]


def test_a_slice_that_tells_no_utilisation_still_tells_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    held, busy = _gpu(monkeypatch, nvmlDeviceGetUtilizationRates=nvml.NVMLError("Not Supported"))
    assert (5, "") == (held.value, held.reason)
    assert (None, True) == (busy.value, "Not Supported" in busy.reason)


# --- a whole group ----------------------------------------------------------------------------------------------------


class Watched:
    """Members whose workers are scripted; what is started, watched and closed is written down in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **workers: FakeClient | MemberError) -> None:
        Process(monkeypatch)
        self.log: list[str] = []
        self._workers = workers
        self.members = [Member(MemberSpec(name, name, "", "rival", "rust", LaunchSpec("process"))) for name in workers]
        monkeypatch.setattr(prewarmed, "open_client", self._open)
        monkeypatch.setattr(module.step, "make_job", lambda *_: messages.job())
        for each in self.members:
            each.call_ns = 1e8

    def _open(self, plan: MemberSpec, _seconds: float, *, served: bool) -> FakeClient:
        assert served
        self.log.append(f"start {plan.name}")
        worker = self._workers[plan.name]
        if isinstance(worker, MemberError):
            raise worker
        worker.close = lambda: self.log.append(f"close {plan.name}")  # type: ignore[attr-defined]
        return worker

    def observe(self) -> list[Member]:
        group: Any = SimpleNamespace(budget=Profile())
        observe_members(self.members, group, Files({}, {}, {}, ""), self.log.append, Prewarmed())
        return self.members


def test_all_are_started_before_the_first_is_watched_and_each_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, a=FakeClient("a", itertools.count(1)), b=FakeClient("b", itertools.count(1)))
    members = watched.observe()
    assert ["start a", "start b", "observing a", "close a", "observing b", "close b"] == watched.log[:6]
    assert [sorted(METRICS)] * 2 == [sorted(reading.metric for reading in each.readings) for each in members]
    assert ["ok", "ok"] == [each.status for each in members]


def test_a_worker_that_cannot_be_watched_costs_its_member_the_readings_only(monkeypatch: pytest.MonkeyPatch) -> None:
    dies = FakeClient("b", [1, Crashed("gone")])
    watched = Watched(monkeypatch, a=Unavailable("no file"), b=dies, c=FakeClient("c", itertools.count(1)))
    a, b, c = watched.observe()
    assert ["ok"] * 3 == [each.status for each in (a, b, c)]
    assert {(None, "no file")} == {(each.value, each.reason) for each in a.readings}
    assert {(None, "the observed worker failed: gone")} == {(each.value, each.reason) for each in b.readings}
    assert any(each.value for each in c.readings)
    assert {"close b", "close c"} <= set(watched.log)


def test_a_member_that_breaks_its_promise_of_one_thread_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(monkeypatch, a=FakeClient("a", itertools.count(1)))
    used = itertools.count(0, 2_000_000_000)
    monkeypatch.setattr(module.cpu, "used_ns", lambda _: next(used))
    (member,) = watched.observe()
    assert ("failed", True) == (member.status, "2.00 processors busy" in member.reason)
