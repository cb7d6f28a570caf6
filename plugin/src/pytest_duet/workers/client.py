"""Send requests to a worker and check its replies.

Each request gets an id. An error reply, or one that does not fit the request, becomes an exception from ``errors``.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, TypeVar

from pytest_duet import protocol
from pytest_duet.errors import Crashed, ImplementationError, Invalid, ProtocolError, Unavailable
from pytest_duet.workers.codec import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_duet.workers.host import Host
    from pytest_duet.workers.process import ProcessChannel

_R = TypeVar("_R", bound=protocol.Reply)


class DirectChannel:
    """Passes requests to `host` in this process. It cannot enforce a deadline: only Ctrl-C stops a call."""

    def __init__(self, host: Host, name: str = "") -> None:
        self.name, self.pid, self.left_behind = name, os.getpid(), 0
        self._host = host

    def exchange(self, request: protocol.Request, **_: object) -> protocol.Reply:
        """Return the host's reply."""
        return self._host.handle(request)

    def close(self) -> None:
        """Close the host, which restores the thread limits."""
        self._host.close()


class Client:
    """Talks to one worker. `name` is its member's, for messages; each request may take `seconds`."""

    def __init__(self, channel: DirectChannel | ProcessChannel, name: str, *, seconds: float) -> None:
        self.name = name
        self._channel = channel
        self._seconds = seconds
        self._ids = itertools.count(1)

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._channel.pid

    @property
    def left_behind(self) -> int:
        """How many orphans the worker left when it ended."""
        return self._channel.left_behind

    def hello(self) -> protocol.HelloReply:
        """Ask the worker to identify itself."""
        return self._ask(protocol.Hello(id=next(self._ids)), protocol.HelloReply)

    def describe(self) -> list[protocol.Capability]:
        """Return the implementations that the worker has."""
        return self._ask(protocol.Describe(id=next(self._ids)), protocol.DescribeReply).implementations

    def prepare(self, job: protocol.Job) -> protocol.PrepareReply:
        """Prepare `job`."""
        return self._ask(protocol.Prepare(id=next(self._ids), job=job), protocol.PrepareReply)

    def verify(self, into: Path) -> protocol.VerifyReply:
        """Run the job once; the worker writes its outputs into folder `into`.

        Raises:
            Invalid: the duration is not positive.
        """
        reply = self._ask(protocol.Verify(id=next(self._ids), into=str(into)), protocol.VerifyReply)
        if reply.elapsed_ns <= 0:
            raise Invalid(f"{self.name} reports {reply.elapsed_ns} ns for a call; a duration must be positive")
        return reply

    def run(
        self, rounds: int, iterations: int, keep: int | None = None, *, tick: Callable[[], None] | None = None
    ) -> protocol.RunReply:
        """Time `rounds` rounds of `iterations` calls; keep the last output of round `keep`.

        Raises:
            ProtocolError: the reply has another number of rounds, or no digest of the kept output.
            Invalid: a duration is not positive.
        """
        request = protocol.Run(id=next(self._ids), rounds=rounds, iterations=iterations, keep=keep)
        reply = self._ask(request, protocol.RunReply, tick=tick)
        if len(reply.elapsed_ns) != rounds:
            raise ProtocolError(f"{self.name} sent {len(reply.elapsed_ns)} rounds, {rounds} were asked")
        if any(len(spans) != rounds for spans in reply.spans.values()):
            raise ProtocolError(f"{self.name} sent spans of another number of rounds than the {rounds} that were asked")
        if (reply.digest is None) != (keep is None):
            raise ProtocolError(f"{self.name} was asked to keep round {keep} and sent digest {reply.digest!r}")
        if (shortest := min(reply.elapsed_ns)) <= 0:
            raise Invalid(f"{self.name} reports a round of {shortest} ns; a duration must be positive")
        return reply

    def outputs(self, into: Path) -> protocol.OutputsReply:
        """Have the worker write the kept outputs into folder `into`."""
        return self._ask(protocol.Outputs(id=next(self._ids), into=str(into)), protocol.OutputsReply)

    def rename(self, name: str) -> None:
        """Use the worker for member `name` from now on."""
        self.name = self._channel.name = name

    def close(self) -> None:
        """Stop the worker."""
        self._channel.close()

    def _ask(self, request: protocol.Request, kind: type[_R], *, tick: Callable[[], None] | None = None) -> _R:
        """Return the reply to `request`, which must be of type `kind`."""
        reply = self._channel.exchange(request, seconds=self._seconds, tick=tick)
        if reply.id != request.id and not (isinstance(reply, protocol.ErrorReply) and reply.id == 0):
            raise ProtocolError(f"{self.name} answered request {reply.id} when {request.id} was asked")
        if isinstance(reply, protocol.ErrorReply):
            raise _ERRORS[reply.kind](f"{self.name}: {clean(reply.message)}")
        if not isinstance(reply, kind):
            raise ProtocolError(f"{self.name} answered {type(request).__name__} with {type(reply).__name__}")
        return reply


_ERRORS = {"unsupported": Unavailable, "invalid": ImplementationError, "failed": ImplementationError, "panic": Crashed}
