"""Replayed durations reach pytest-benchmark bit for bit, and Ctrl-C waits for the end of a replay."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.plugin.replay import VirtualTimer, replay, verify_only

from .samples import group, member, reference, run

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION = """
import pytest
from pytest_duet.plugin.replay import VirtualTimer, replay
from pytest_duet.records.schema import Bound, GroupRecord, MemberRecord, Reading

CELLS = [[[1, 3, 7], [10**15 + 1, 123456789, 2]], [[333333333, 999999937, 10**9]]]
MEMBER = MemberRecord(
    name="tch", framework="tch", variant="", role="rival", language="rust", status="ok", calls_per_round=7, cells=CELLS,
    readings=[Reading(metric="peak_memory", unit="bytes", value=4096)], quality=[Bound(metric="r2", value=0.5)],
)
GROUP = GroupRecord(
    id="t/g", task="t", algorithm="a", phase="p", workload="w", workload_size="", threads=1, device="cpu", dtype="f64",
    mode="direct", profile="smoke", margin=0.05, reference="torch", data_digest="", verified_only=False, elapsed_ns=1,
    members=[MEMBER],
)
TIMER = VirtualTimer()

@pytest.mark.benchmark(timer=TIMER)
def test_it(benchmark):
    replay(benchmark, TIMER, GROUP, MEMBER)
"""


def test_the_saved_data_equal_the_nanoseconds_bit_for_bit(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The inner session is not a worker of pytest-xdist, even if this one is.
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    pytester.makepyfile(SESSION)
    result = pytester.inline_run("--benchmark-json=out.json", "-p", "no:cacheprovider", "-q")
    assert 0 == result.ret
    (saved,) = json.loads((pytester.path / "out.json").read_bytes())["benchmarks"]
    cells = [[[1, 3, 7], [10**15 + 1, 123456789, 2]], [[333333333, 999999937, 10**9]]]
    rounds = [ns for cell in cells for cycle in cell for ns in cycle]
    assert [ns / 7 / 1e9 for ns in rounds] == saved["stats"]["data"]
    assert (len(rounds), 1) == (saved["stats"]["rounds"], saved["stats"]["iterations"])
    assert {
        "case": "t/g/tch",
        "conditions": "profile smoke, mode direct, data ",
        "group": "t/g",
        "member": "tch",
        "reference": "torch",
        "calls_per_round": 7,
        "cells_ns": cells,
        "quality": {"r2": 0.5},
        "peak_memory_bytes": 4096,
    } == saved["extra_info"]["duet"]
    assert "duet_worker_clock" in saved["options"]["timer"]


class FakeBenchmark:
    """Measures as pytest-benchmark does: set up, read the timer, call, read the timer."""

    def __init__(self, timer: Callable[[], float], during: Callable[[int], None] = lambda _: None) -> None:
        self.extra_info: dict[str, Any] = {}
        self.seen: list[float] = []
        self.handlers: set[object] = set()
        self._timer, self._during = timer, during

    def pedantic(
        self, target: Callable[[], None], setup: Callable[[], None] = lambda: None, rounds: int = 1, iterations: int = 1
    ) -> None:
        for index in range(rounds):
            setup()
            start = self._timer()
            target()
            self.seen.append(self._timer() - start)
            self.handlers.add(signal.getsignal(signal.SIGINT))
            self._during(index)


CELLS = [[[100, 200], [300]], [[400]]]


def _replay(during: Callable[[int], None] = lambda _: None) -> FakeBenchmark:
    timer = VirtualTimer()
    benchmark = FakeBenchmark(timer, during)
    record = member("tch", calls_per_round=2, cells=CELLS)
    replay(benchmark, timer, group(reference(), record), record)
    return benchmark


def test_rounds_are_replayed_in_the_order_they_were_measured() -> None:
    assert [ns / 2 / 1e9 for ns in (100, 200, 300, 400)] == _replay().seen


def test_ctrl_c_during_a_replay_waits_until_all_rounds_are_replayed() -> None:
    seen: list[FakeBenchmark] = []
    before = signal.getsignal(signal.SIGINT)
    rounds: list[int] = []

    def interrupt(index: int) -> None:
        rounds.append(index)
        if index == 1:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        seen.append(_replay(interrupt))
    assert [0, 1, 2, 3] == rounds
    assert before is signal.getsignal(signal.SIGINT)


def test_after_a_replay_the_signal_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    during = _replay().handlers
    assert before not in during
    assert before is signal.getsignal(signal.SIGINT)


def test_after_a_failed_replay_the_signal_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGINT)

    def fail(index: int) -> None:
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - our own
        _replay(fail)
    assert before is signal.getsignal(signal.SIGINT)


def test_a_replay_in_another_thread_leaves_signals_alone() -> None:
    seen: list[FakeBenchmark] = []
    thread = threading.Thread(target=lambda: seen.append(_replay()))
    thread.start()
    thread.join()
    assert 4 == len(seen[0].seen)


def test_a_quality_that_is_not_finite_is_left_out_of_extra_info() -> None:
    from pytest_duet.records.schema import Bound
    from pytest_duet.values import NonFinite

    timer = VirtualTimer()
    benchmark = FakeBenchmark(timer)
    bounds = [Bound(metric="r2", value=NonFinite("nan")), Bound(metric="f1", value=1)]
    record = member("tch", quality=bounds, cells=CELLS, readings=[])
    replay(benchmark, timer, group(reference(), record), record)
    assert ({"f1": 1}, None) == (
        benchmark.extra_info["duet"]["quality"],
        benchmark.extra_info["duet"]["peak_memory_bytes"],
    )


def test_a_case_has_the_same_id_as_in_the_saved_run() -> None:
    from pytest_duet.records.summaries import summary_of_run

    timer = VirtualTimer()
    benchmark = FakeBenchmark(timer)
    record = member("tch", cells=CELLS)
    measured = group(record, threads=2, device="cuda:0", profile="full")
    replay(benchmark, timer, measured, record)
    ((case, summary),) = summary_of_run(run(measured), "", "").cases.items()
    ours = benchmark.extra_info["duet"]
    assert (case, summary.conditions) == (ours["case"], ours["conditions"])


def test_verifying_uses_the_fixture_once() -> None:
    benchmark = FakeBenchmark(VirtualTimer())
    verify_only(benchmark)
    assert 1 == len(benchmark.seen)
