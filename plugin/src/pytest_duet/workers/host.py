"""Answer protocol requests with Python implementations, as the crate ``duet-worker`` does with Rust ones."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pytest_duet import protocol
from pytest_duet.digests import digest_outputs
from pytest_duet.errors import DuetError, ImplementationError, Unavailable, reason_of
from pytest_duet.implementation import JobReader
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_duet import implementation
    from pytest_duet.workers.threads import Threads

_MAX_LOSSES = 1000
"""How many values of a loss curve a reply may have: it is one line of at most 64 KiB."""
_MONITORING_TOOLS = 6
"""How many tool ids `sys.monitoring` has."""


@dataclass(eq=False)
class Host:
    """Holds at most one prepared job and answers requests about it.

    `identify` makes the `hello` reply. `capabilities` lists the implementations. `find` returns the constructor of the
    implementation for a job. `threads` limits the threads and reads how many are in effect.
    """

    identify: Callable[[int], protocol.HelloReply]
    capabilities: Callable[[], list[protocol.Capability]]
    find: Callable[[protocol.Job], implementation.Prepare]
    threads: Threads
    clock = staticmethod(time.perf_counter_ns)
    _prepared: implementation.Implementation[Any, Any] | None = field(default=None, init=False)
    _kept: implementation.Outputs | None = field(default=None, init=False)

    def handle(self, request: protocol.Request) -> protocol.Reply:
        """Return the reply to `request`; an exception of the implementation becomes an error reply."""
        try:
            return self._answer(request)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - an implementation may raise anything, and only its member fails
            kind: Literal["unsupported", "invalid", "failed"] = "failed"
            if isinstance(error, DuetError):
                kind = "unsupported" if isinstance(error, Unavailable) else "invalid"
            # Bytes of a file name may not be Unicode.
            message = reason_of(error)[:4000].encode(errors="replace").decode()
            return protocol.ErrorReply(id=request.id, kind=kind, message=message)

    def close(self) -> None:
        """Drop the job and restore the thread limits."""
        self._prepared = self._kept = None
        self.threads.restore()

    def _answer(self, request: protocol.Request) -> protocol.Reply:  # noqa: PLR0911 - one return per request
        match request:
            case protocol.Hello():
                return self.identify(request.id)
            case protocol.Describe():
                return protocol.DescribeReply(id=request.id, implementations=self.capabilities())
            case protocol.Prepare(job=job):
                return self._prepare(request.id, job)
            case protocol.Verify(into=into):
                return self._verify(request.id, into)
            case protocol.Run():
                return self._run(request)
            case protocol.Outputs(into=into):
                if self._kept is None:
                    raise ImplementationError("no round's output was kept; ask `run` to keep one")
                paths, digest = _write(self._kept, into)
                return protocol.OutputsReply(id=request.id, outputs=paths, digest=digest)
            case protocol.Quit():
                return protocol.QuitReply(id=request.id)

    def _prepare(self, request_id: int, job: protocol.Job) -> protocol.PrepareReply:
        self._prepared = self._kept = None
        construct = self.find(job)
        self.threads.limit(job.threads)
        reader = JobReader(job)
        prepared = construct(reader)
        reader.check_used()
        self._prepared = prepared
        return protocol.PrepareReply(
            id=request_id,
            params=reader.read_params,
            threads=self.threads.in_effect(),
            device=job.device,
            dtype=job.dtype,
            data=reader.read_data,
            max_iterations=prepared.max_iterations,
        )

    def _ready(self) -> implementation.Implementation[Any, Any]:
        if self._prepared is None:
            raise ImplementationError("nothing is prepared; send `prepare` first")
        return self._prepared

    def _verify(self, request_id: int, into: str) -> protocol.VerifyReply:
        prepared = self._ready()
        with _tracing_suspended():
            elapsed, results = self._round(prepared, 1)
        outputs = prepared.outputs(results[-1])
        paths, digest = _write(outputs, into)
        return protocol.VerifyReply(
            id=request_id,
            outputs=paths,
            digest=digest,
            iterations=outputs.iterations,
            converged=outputs.converged,
            loss=[to_number(value) for value in _thinned(outputs.loss)],
            elapsed_ns=elapsed,
        )

    def _run(self, request: protocol.Run) -> protocol.RunReply:
        prepared = self._ready()
        limit = prepared.max_iterations
        if limit is not None and request.iterations > limit:
            raise ImplementationError(f"a round may have at most {limit} calls, {request.iterations} were asked")
        if request.keep is not None and request.keep >= request.rounds:
            msg = f"keep is {request.keep}, but there are {request.rounds} rounds; keep one of them"
            raise ImplementationError(msg)
        elapsed = []
        spans: dict[str, list[int]] = {}
        with _tracing_suspended():
            for index in range(request.rounds):
                ns, results = self._round(prepared, request.iterations)
                elapsed.append(ns)
                total_ns: Counter[str] = Counter()
                for call_ns in map(prepared.spans, results):
                    total_ns.update(call_ns)
                for name, span_ns in total_ns.items():
                    spans.setdefault(name, []).append(span_ns)
                if index == request.keep:
                    self._kept = prepared.outputs(results[-1])
                # Free the results now, so that the next round does not time their deallocation.
                del results
        return protocol.RunReply(
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


def _thinned(losses: Sequence[float]) -> list[float]:
    """Return `losses`, or `_MAX_LOSSES` of them, evenly spaced with the first and the last, if there are more."""
    count = len(losses)
    if count <= _MAX_LOSSES:
        return list(losses)
    return [losses[at * (count - 1) // (_MAX_LOSSES - 1)] for at in range(_MAX_LOSSES)]


@contextmanager
def _tracing_suspended() -> Iterator[None]:
    """Suspend tracers and profilers, which would slow only Python."""
    trace, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    monitoring: Any = getattr(sys, "monitoring", None)  # since Python 3.12
    tools = [tool for tool in range(_MONITORING_TOOLS) if monitoring and monitoring.get_tool(tool)]
    events = {tool: monitoring.get_events(tool) for tool in tools}
    for tool in events:
        monitoring.set_events(tool, 0)
    try:
        yield
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
        for tool, active in events.items():
            monitoring.set_events(tool, active)


def _write(outputs: implementation.Outputs, into: str) -> tuple[dict[str, str], str]:
    """Write `outputs` as ``.npy`` files into folder `into`; return their paths by name, and their digest."""
    arrays = {name: np.asarray(array) for name, array in outputs.arrays.items()}
    paths = {name: str(Path(into) / f"{name}.npy") for name in arrays}
    for name, array in arrays.items():
        np.save(paths[name], array, allow_pickle=False)
    return paths, digest_outputs(arrays)
