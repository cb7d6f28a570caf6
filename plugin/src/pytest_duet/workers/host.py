"""Answer protocol requests with Python implementations, as the crate ``duet-worker`` does with Rust ones.

``python`` finds the implementations; ``direct`` and ``serve`` carry the messages.
"""

from __future__ import annotations

import gc
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_duet.digests import digest_outputs
from pytest_duet.errors import DuetError, ImplementationError, Unavailable
from pytest_duet.implementation import JobReader
from pytest_duet.protocol import (
    Describe,
    DescribeReply,
    ErrorReply,
    Hello,
    HelloReply,
    Outputs,
    OutputsReply,
    Prepare,
    PrepareReply,
    Quit,
    QuitReply,
    Reply,
    Request,
    Run,
    RunReply,
    Verify,
    VerifyReply,
)
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_duet import implementation
    from pytest_duet.protocol import Capability, Job
    from pytest_duet.workers.threads import Threads


_MAX_LOSSES = 1000
"""How many values of a loss curve a reply may have: it is one line of at most 64 KiB."""
_MONITORING_TOOLS = 6
"""How many tool ids `sys.monitoring` has."""


class Host:
    """Holds at most one prepared job and answers requests about it.

    `identify` makes the `hello` reply. `capabilities` lists the implementations. `find` returns the constructor of the
    implementation for a job. `threads` limits the threads and reads how many are in effect.
    """

    clock: Callable[[], int] = staticmethod(time.perf_counter_ns)

    def __init__(
        self,
        *,
        identify: Callable[[int], HelloReply],
        capabilities: Callable[[], list[Capability]],
        find: Callable[[Job], implementation.Prepare],
        threads: Threads,
    ) -> None:
        """Create a host; nothing is imported or prepared yet."""
        self._identify = identify
        self._capabilities = capabilities
        self._find = find
        self._threads = threads
        self._prepared: implementation.Implementation[Any, Any] | None = None
        self._kept: implementation.Outputs | None = None

    def handle(self, request: Request) -> Reply:
        """Return the reply to `request`; an exception of the implementation becomes an error reply."""
        try:
            return self._answer(request)
        except Unavailable as error:
            return ErrorReply(id=request.id, kind="unsupported", message=_shortened(str(error)))
        except DuetError as error:
            return ErrorReply(id=request.id, kind="invalid", message=_shortened(str(error)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an implementation may raise anything, and only its member fails
            return ErrorReply(id=request.id, kind="failed", message=_shortened(f"{type(error).__name__}: {error}"))

    def close(self) -> None:
        """Drop the job and restore the thread limits."""
        self._prepared = self._kept = None
        self._threads.restore()

    def _answer(self, request: Request) -> Reply:  # noqa: PLR0911 - one return per request
        match request:
            case Hello():
                return self._identify(request.id)
            case Describe():
                return DescribeReply(id=request.id, implementations=self._capabilities())
            case Prepare(job=job):
                return self._prepare(request.id, job)
            case Verify(into=into):
                return self._verify(request.id, into)
            case Run():
                return self._run(request)
            case Outputs(into=into):
                if self._kept is None:
                    raise ImplementationError("no round's output was kept; ask `run` to keep one")
                paths, digest = _write(self._kept, into)
                return OutputsReply(id=request.id, outputs=paths, digest=digest)
            case Quit():
                return QuitReply(id=request.id)

    def _prepare(self, request_id: int, job: Job) -> PrepareReply:
        self._prepared = self._kept = None
        construct = self._find(job)
        self._threads.limit(job.threads)
        reader = JobReader(job)
        prepared = construct(reader)
        reader.check_used()
        self._prepared = prepared
        return PrepareReply(
            id=request_id,
            params=reader.read_params,
            threads=self._threads.in_effect(),
            device=job.device,
            dtype=job.dtype,
            data=reader.read_data,
            max_iterations=prepared.max_iterations,
        )

    def _ready(self) -> implementation.Implementation[Any, Any]:
        if self._prepared is None:
            raise ImplementationError("nothing is prepared; send `prepare` first")
        return self._prepared

    def _verify(self, request_id: int, into: str) -> VerifyReply:
        prepared = self._ready()
        with _tracing_suspended():
            elapsed, results = self._round(prepared, 1)
        outputs = prepared.outputs(results[-1])
        paths, digest = _write(outputs, into)
        return VerifyReply(
            id=request_id,
            outputs=paths,
            digest=digest,
            iterations=outputs.iterations,
            converged=outputs.converged,
            loss=[to_number(value) for value in _thinned(outputs.loss)],
            elapsed_ns=elapsed,
        )

    def _run(self, request: Run) -> RunReply:
        prepared = self._ready()
        limit = prepared.max_iterations
        if limit is not None and request.iterations > limit:
            raise ImplementationError(f"a round may have at most {limit} calls, {request.iterations} were asked")
        if request.keep is not None and request.keep >= request.rounds:
            raise ImplementationError(
                f"keep is {request.keep}, but there are {request.rounds} rounds; keep one of them"
            )
        elapsed = []
        spans: dict[str, list[int]] = {}
        with _tracing_suspended():
            for index in range(request.rounds):
                ns, results = self._round(prepared, request.iterations)
                elapsed.append(ns)
                for name, total_ns in _summed(prepared.spans(result) for result in results).items():
                    spans.setdefault(name, []).append(total_ns)
                if index == request.keep:
                    self._kept = prepared.outputs(results[-1])
                # Free the results now, so that the next round does not time their deallocation.
                del results
        return RunReply(
            id=request.id,
            elapsed_ns=elapsed,
            digest=digest_outputs(self._kept.arrays) if request.keep is not None and self._kept else None,
            spans=spans,
            work=prepared.work(),
        )

    def _round(self, prepared: implementation.Implementation[Any, Any], calls: int) -> tuple[int, list[Any]]:
        """Time `calls` calls; return the nanoseconds and the results. Inputs are made before, results freed after."""
        inputs = [prepared.fresh() for _ in range(calls)]
        results: list[Any] = [None] * calls
        run, clock = prepared.run, self.clock
        # Never collect garbage while the clock runs: Rust has no collector either.
        collecting = gc.isenabled()
        gc.disable()
        try:
            start = clock()
            for index in range(calls):
                results[index] = run(inputs[index])
            prepared.sync()
            elapsed = clock() - start
        finally:
            if collecting:
                gc.enable()
        return elapsed, results


def _summed(spans: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sum of each span over the calls of a round."""
    total: dict[str, int] = {}
    for call in spans:
        for name, ns in call.items():
            total[name] = total.get(name, 0) + ns
    return total


def _thinned(losses: Sequence[float]) -> list[float]:
    """Return `losses`, or `_MAX_LOSSES` of them, evenly spaced with the first and the last, if there are more."""
    count = len(losses)
    if count <= _MAX_LOSSES:
        return list(losses)
    return [losses[at * (count - 1) // (_MAX_LOSSES - 1)] for at in range(_MAX_LOSSES)]


def _shortened(message: str) -> str:
    """Return the first 4000 characters of `message`, with what is not Unicode (bytes of a file name) replaced."""
    return message[:4000].encode(errors="replace").decode()


@contextmanager
def _tracing_suspended() -> Iterator[None]:
    """Suspend tracers and profilers, which would slow only Python."""
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    monitoring = getattr(sys, "monitoring", None)  # since Python 3.12
    tools = [tool for tool in range(_MONITORING_TOOLS) if monitoring and monitoring.get_tool(tool)]
    events = {tool: monitoring.get_events(tool) for tool in tools} if monitoring else {}
    for tool in events:
        sys.monitoring.set_events(tool, 0)  # type: ignore[attr-defined,unused-ignore]  # not in 3.11
    try:
        yield
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
        for tool, active in events.items():
            sys.monitoring.set_events(tool, active)  # type: ignore[attr-defined,unused-ignore]  # not in 3.11


def _write(outputs: implementation.Outputs, into: str) -> tuple[dict[str, str], str]:
    """Write `outputs` as ``.npy`` files into folder `into`; return their paths by name, and their digest."""
    paths = {}
    for name, array in outputs.arrays.items():
        path = Path(into) / f"{name}.npy"
        np.save(path, np.asarray(array), allow_pickle=False)
        paths[name] = str(path)
    return paths, digest_outputs({name: np.asarray(array) for name, array in outputs.arrays.items()})
