"""What the host times and keeps, and how failures become replies."""

from __future__ import annotations

import gc
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_duet.digests import digest_outputs
from pytest_duet.errors import ImplementationError, Unavailable
from pytest_duet.implementation import Implementation, JobReader, Outputs
from pytest_duet.protocol import (
    LINE_LIMIT_BYTES,
    Describe,
    DescribeReply,
    ErrorReply,
    Hello,
    OutputsReply,
    Prepare,
    PrepareReply,
    Quit,
    QuitReply,
    Run,
    RunReply,
    Verify,
    VerifyReply,
)
from pytest_duet.protocol import Outputs as OutputsRequest
from pytest_duet.values import NonFinite
from pytest_duet.workers.codec import encode
from pytest_duet.workers.host import Host

from .fakes import messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class FakeThreads:
    """Records its calls; always reports two threads in effect."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def limit(self, threads: int) -> None:
        self.calls.append(threads)

    def in_effect(self) -> int:
        return 2

    def restore(self) -> None:
        self.calls.append("restore")


class Steps(Implementation[int, int]):
    """Logs each step; its result is the number of the input."""

    def __init__(self, log: list[Any], during: Callable[[], None] = lambda: None) -> None:
        self.log, self._during, self._made = log, during, 0

    def fresh(self) -> int:
        self._made += 1
        self.log.append(("fresh", self._made))
        return self._made

    def run(self, given: int) -> int:
        self.log.append(("run", given))
        self._during()
        return given

    def sync(self) -> None:
        self.log.append("sync")

    def outputs(self, result: int) -> Outputs:
        self.log.append(("outputs", result))
        return Outputs({"x": np.array([float(result)])}, iterations=result, converged=True, loss=[1.0, math.nan])

    def spans(self, result: int) -> dict[str, int]:
        return {"update": 10 * result} if isinstance(result, int) else {}

    def work(self) -> dict[str, int]:
        return {"samples": 7}


class Rig:
    """A host of one implementation, with a clock that logs each reading and advances 100 ns at each."""

    def __init__(self, make: Callable[[JobReader, list[Any]], Implementation[Any, Any]] | None = None) -> None:
        self.log: list[Any] = []
        self.threads = FakeThreads()
        self._now = 0

        def find(job: object) -> Any:
            return lambda reader: make(reader, self.log) if make else Steps(self.log)

        self.host = Host(
            identify=messages.hello,
            capabilities=lambda: [messages.CAPABILITY],
            find=find,
            threads=self.threads,  # type: ignore[arg-type]
        )
        self.host.clock = self._clock  # type: ignore[method-assign]

    def _clock(self) -> int:
        self.log.append("clock")
        self._now += 100
        return self._now

    def ready(self) -> Rig:
        reply = self.host.handle(Prepare(id=1, job=messages.job()))
        assert isinstance(reply, PrepareReply)
        return self

    def run(self, rounds: int = 1, iterations: int = 1, keep: int | None = None) -> Any:
        return self.host.handle(Run(id=2, rounds=rounds, iterations=iterations, keep=keep))


def _failing(error: BaseException) -> Rig:
    def fail() -> None:
        raise error

    return Rig(lambda _, log: Steps(log, fail)).ready()


def test_the_spans_of_a_round_are_summed_over_its_calls() -> None:
    assert {"update": [10 + 20, 30 + 40]} == Rig().ready().run(rounds=2, iterations=2).spans


# --- what is timed ----------------------------------------------------------------------------------------------------


def test_only_the_calls_and_the_wait_for_the_device_are_timed() -> None:
    rig = Rig().ready()
    rig.run(rounds=2, iterations=2, keep=1)
    assert [
        *[("fresh", 1), ("fresh", 2), "clock", ("run", 1), ("run", 2), "sync", "clock"],
        *[("fresh", 3), ("fresh", 4), "clock", ("run", 3), ("run", 4), "sync", "clock"],
        ("outputs", 4),
    ] == rig.log


def test_a_round_is_one_number_however_many_calls_it_has() -> None:
    reply = Rig().ready().run(rounds=3, iterations=5)
    assert ([100, 100, 100], {"samples": 7}) == (reply.elapsed_ns, reply.work)


def test_results_are_freed_outside_the_clock() -> None:
    log: list[Any] = []

    class Result:
        def __del__(self) -> None:
            log.append("freed")

    class Make(Steps):
        def run(self, given: int) -> Any:
            return Result()

    rig = Rig(lambda _, shared: Make(shared)).ready()
    rig.log = log
    rig.run(rounds=2, iterations=2)
    assert ["clock", "clock", "freed", "freed"] * 2 == log


def test_verify_is_timed_as_one_call(tmp_path: Path) -> None:
    rig = Rig().ready()
    reply = rig.host.handle(Verify(id=3, into=str(tmp_path)))
    assert isinstance(reply, VerifyReply)
    assert [("fresh", 1), "clock", ("run", 1), "sync", "clock", ("outputs", 1)] == rig.log
    assert (100, 1, True, [1.0, NonFinite("nan")]) == (
        reply.elapsed_ns,
        reply.iterations,
        reply.converged,
        reply.loss,
    )
    assert [1.0] == np.load(reply.outputs["x"]).tolist()
    assert str(tmp_path / "x.npy") == reply.outputs["x"]


def test_a_long_loss_curve_is_thinned_to_a_thousand_values_with_the_first_and_last(tmp_path: Path) -> None:
    class Long(Steps):
        def outputs(self, result: int) -> Outputs:
            return Outputs({"x": np.array([float(result)])}, loss=[float(step) for step in range(12_500)])

    rig = Rig(lambda _, log: Long(log)).ready()
    reply = rig.host.handle(Verify(id=3, into=str(tmp_path)))
    assert isinstance(reply, VerifyReply)
    assert (1000, 0.0, 12_499.0) == (len(reply.loss), reply.loss[0], reply.loss[-1])
    assert len(encode(reply)) < LINE_LIMIT_BYTES


def test_garbage_collection_pauses_while_the_clock_runs() -> None:
    seen: list[bool] = []
    assert gc.isenabled()
    Rig(lambda _, log: Steps(log, lambda: seen.append(gc.isenabled()))).ready().run(rounds=2)
    assert ([False, False], True) == (seen, gc.isenabled())


def test_garbage_collection_resumes_after_a_failure() -> None:
    _failing(ValueError("x")).run()
    assert gc.isenabled()


def test_disabled_garbage_collection_stays_disabled() -> None:
    gc.disable()
    try:
        Rig().ready().run()
        still_off = not gc.isenabled()
    finally:
        gc.enable()
    assert still_off


@pytest.mark.parametrize("fails", [False, True])
def test_tracers_and_profilers_are_suspended_while_rounds_run(*, fails: bool) -> None:
    seen: list[object] = []

    def record() -> None:
        seen.append((sys.gettrace(), sys.getprofile()))
        if fails:
            raise ValueError

    rig = Rig(lambda _, log: Steps(log, record)).ready()
    before = sys.gettrace(), sys.getprofile()

    def tracer(*_: object) -> None:
        return None

    sys.settrace(tracer)
    sys.setprofile(tracer)
    try:
        rig.run()
        after = sys.gettrace(), sys.getprofile()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    assert [(None, None)] == seen
    assert (tracer, tracer) == after


# --- what is kept -----------------------------------------------------------------------------------------------------


def _digest(number: float) -> str:
    return digest_outputs({"x": np.array([number])})


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_the_last_output_of_the_requested_round_is_kept(keep: int, tmp_path: Path) -> None:
    rig = Rig().ready()
    reply = rig.run(rounds=3, iterations=2, keep=keep)
    expected = float(2 * keep + 2)
    assert _digest(expected) == reply.digest
    kept = rig.host.handle(OutputsRequest(id=4, into=str(tmp_path)))
    assert isinstance(kept, OutputsReply)
    assert (_digest(expected), [expected]) == (kept.digest, np.load(kept.outputs["x"]).tolist())


def test_without_keep_there_is_no_kept_output_and_no_digest() -> None:
    rig = Rig().ready()
    assert None is rig.run(rounds=2).digest
    assert ("outputs", 2) not in rig.log
    refused = rig.host.handle(OutputsRequest(id=4, into="/nowhere"))
    assert ErrorReply(id=4, kind="invalid", message="no round's output was kept; ask `run` to keep one") == refused


def test_an_output_is_kept_until_another_one_is(tmp_path: Path) -> None:
    rig = Rig().ready()
    rig.run(keep=0)
    rig.run()
    kept = rig.host.handle(OutputsRequest(id=4, into=str(tmp_path)))
    assert isinstance(kept, OutputsReply)
    assert _digest(1.0) == kept.digest


def test_a_round_beyond_the_last_cannot_be_kept() -> None:
    rig = Rig().ready()
    rig.run(keep=0)
    reply = rig.run(rounds=2, keep=2)
    assert isinstance(reply, ErrorReply)
    assert "invalid" == reply.kind


def test_preparing_a_job_drops_the_kept_output(tmp_path: Path) -> None:
    rig = Rig().ready()
    rig.run(keep=0)
    rig.ready()
    assert isinstance(rig.host.handle(OutputsRequest(id=6, into=str(tmp_path))), ErrorReply)


# --- preparing --------------------------------------------------------------------------------------------------------


def test_the_prepare_reply_has_what_was_read_and_the_threads_in_effect(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(1))

    class Reads(Steps):
        max_iterations = 3

    def make(reader: JobReader, log: list[Any]) -> Steps:
        reader.number("alpha")
        reader.array("x")
        return Reads(log)

    rig = Rig(make)
    asked = messages.job(params={"alpha": 0.5, "unread": 1}, threads=4, data={"x": str(tmp_path / "x.npy")})
    reply = rig.host.handle(Prepare(id=1, job=asked))
    assert isinstance(reply, PrepareReply)
    assert ({"alpha": 0.5}, ["x"], 2, "cpu", "f64", 3) == (
        reply.params,
        list(reply.data),
        reply.threads,
        reply.device,
        reply.dtype,
        reply.max_iterations,
    )
    assert [4] == rig.threads.calls


def test_a_variant_that_the_implementation_never_reads_is_refused() -> None:
    reply = Rig().host.handle(Prepare(id=1, job=messages.job(variant="gram")))
    assert isinstance(reply, ErrorReply)
    assert ("invalid", True) == (reply.kind, "variant 'gram' is not known here" in reply.message)


def test_threads_are_limited_before_the_implementation_is_constructed() -> None:
    seen: list[object] = []
    rig = Rig(lambda _, log: seen.extend(rig.threads.calls) or Steps(log))
    rig.ready()
    assert [1] == seen


def test_closing_restores_the_threads() -> None:
    rig = Rig().ready()
    rig.host.close()
    assert [1, "restore"] == rig.threads.calls
    assert isinstance(rig.run(), ErrorReply)


def test_a_job_that_cannot_be_prepared_drops_the_one_before() -> None:
    attempts = iter([Steps([]), ImplementationError("no")])

    def make(reader: JobReader, log: list[Any]) -> Steps:
        attempt = next(attempts)
        if isinstance(attempt, Exception):
            raise attempt
        return attempt

    rig = Rig(make).ready()
    assert isinstance(rig.host.handle(Prepare(id=2, job=messages.job())), ErrorReply)
    assert isinstance(rig.run(), ErrorReply)


@pytest.mark.parametrize("calls", [3, 4])
def test_a_round_may_have_only_as_many_calls_as_the_implementation_allows(calls: int) -> None:
    class Few(Steps):
        max_iterations = 3

    reply = Rig(lambda _, log: Few(log)).ready().run(iterations=calls)
    assert (RunReply if calls == 3 else ErrorReply) is type(reply)


# --- replies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (Unavailable("not here"), "unsupported", "not here"),
        (ImplementationError("bad job"), "invalid", "bad job"),
        (ValueError("broke"), "failed", "ValueError: broke"),
        (MemoryError(), "failed", "MemoryError: "),
        (RecursionError("deep"), "failed", "RecursionError: deep"),
    ],
)
def test_an_exception_of_the_implementation_becomes_an_error_reply(error: Exception, kind: str, message: str) -> None:
    assert ErrorReply(id=2, kind=kind, message=message) == _failing(error).run()  # type: ignore[arg-type]


def test_ctrl_c_is_not_turned_into_a_reply() -> None:
    with pytest.raises(KeyboardInterrupt):
        _failing(KeyboardInterrupt()).run()


def test_the_host_goes_on_after_a_failure() -> None:
    rig = _failing(ValueError("x"))
    rig.run()
    assert QuitReply(id=9) == rig.host.handle(Quit(id=9))


@pytest.mark.parametrize(
    "error",
    [ValueError("x" * 10**6), ImplementationError("x" * 10**6), ValueError("\x00" * 10**5), ValueError("\udc80")],
    ids=["long", "long and of duet", "control characters", "not Unicode"],
)
def test_every_error_reply_fits_a_line(error: Exception) -> None:
    assert encode(_failing(error).run())


@pytest.mark.parametrize("request_", [Run(id=2, rounds=1, iterations=1, keep=None), Verify(id=2, into="/nowhere")])
def test_nothing_runs_before_a_job_is_prepared(request_: Any) -> None:
    reply = Rig().host.handle(request_)
    assert ErrorReply(id=2, kind="invalid", message="nothing is prepared; send `prepare` first") == reply


def test_a_missing_folder_fails_only_this_request() -> None:
    reply = Rig().ready().host.handle(Verify(id=3, into="/nowhere/at/all"))
    assert isinstance(reply, ErrorReply)
    assert ("failed", 3) == (reply.kind, reply.id)


def test_hello_describe_and_quit_are_answered() -> None:
    host = Rig().host
    assert messages.hello(7) == host.handle(Hello(id=7))
    assert DescribeReply(id=8, implementations=[messages.CAPABILITY]) == host.handle(Describe(id=8))
    assert QuitReply(id=9) == host.handle(Quit(id=9))
