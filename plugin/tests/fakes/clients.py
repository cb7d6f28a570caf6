"""A channel with scripted replies, and a client with scripted durations.

Not a test.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from . import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_duet.errors import MemberError
    from pytest_duet.protocol import HelloReply, Job, PrepareReply, Reply, Request, RunReply


class ScriptedChannel:
    """Returns the given replies in order; a function among them is called with the request."""

    def __init__(self, *replies: Reply | Callable[[Request], Reply]) -> None:
        self.pid = os.getpid()
        self.requests: list[Request] = []
        self.seconds: list[float] = []
        self.closed = False
        self._replies = iter(replies)

    def exchange(self, request: Request, *, seconds: float, tick: Callable[[], None] | None = None) -> Reply:
        """Return the next reply."""
        self.requests.append(request)
        self.seconds.append(seconds)
        if tick:
            tick()
        reply = next(self._replies)
        return reply(request) if callable(reply) else reply

    def close(self) -> None:
        """Record that it was closed."""
        self.closed = True


class FakeClient:
    """A client whose rounds take the durations `ns`, in order; an error among them is raised."""

    def __init__(self, name: str, ns: Iterable[int | MemberError], *, log: list[tuple[Any, ...]] | None = None) -> None:
        self.name = name
        self.pid = os.getpid()
        self.log = [] if log is None else log
        self._ns = iter(ns)
        self.greeted = False

    def hello(self) -> HelloReply:
        """Return a greeting."""
        self.greeted = True
        return messages.hello()

    def prepare(self, job: Job) -> PrepareReply:
        """Return a reply that fits `job`; `hello` must have been called."""
        assert self.greeted
        return messages.prepared(params=job.params, threads=job.threads)

    def run(
        self,
        rounds: int,
        iterations: int,
        keep: int | None = None,
        *,
        seconds: float | None = None,
        tick: Callable[[], None] | None = None,
    ) -> RunReply:
        """Return the next `rounds` durations."""
        self.log.append((self.name, rounds, iterations, keep))
        elapsed = []
        for _ in range(rounds):
            if tick:
                tick()
            ns = next(self._ns)
            if isinstance(ns, Exception):
                raise ns
            elapsed.append(ns)
        digest = None if keep is None else f"{self.name}:{elapsed[keep]}"
        return messages.timed(
            elapsed_ns=elapsed, digest=digest, work={"samples": iterations}, spans={"update": elapsed}
        )
