"""Ask a worker in typed calls: ids kept, replies checked, errors turned into the tree of ``errors``.

Not for carrying lines (``process``) and not for answering (``host``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from pytest_duet.errors import Crashed, ImplementationError, Invalid, ProtocolError, Unavailable
from pytest_duet.protocol import (
    Capability,
    Describe,
    DescribeReply,
    ErrorReply,
    Hello,
    HelloReply,
    Job,
    Outputs,
    OutputsReply,
    Prepare,
    PrepareReply,
    Reply,
    Request,
    Run,
    RunReply,
    Verify,
    VerifyReply,
)
from pytest_duet.workers.codec import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_R = TypeVar("_R", bound=Reply)


class Channel(Protocol):
    """A way to a worker: one request in, one reply out."""

    pid: int
    """The process that does the work."""

    name: str
    """What messages call it."""

    left_behind: int
    """How many processes it had left to themselves when it ended; they were ended too."""

    def exchange(self, request: Request, *, seconds: float, tick: Callable[[], None] | None = None) -> Reply:
        """Return the reply to `request`, within `seconds` where that can be enforced; call `tick` while waiting."""

    def close(self) -> None:
        """Let the worker go, and all it started."""


class Client:
    """One worker as ``measure`` sees it. `name` is the member's, for messages."""

    def __init__(self, channel: Channel, name: str, *, seconds: float) -> None:
        """Talk over `channel`; each request may take `seconds`."""
        self.name = name
        self._channel = channel
        self._seconds = seconds
        self._id = 0

    @property
    def pid(self) -> int:
        """The process that does the work."""
        return self._channel.pid

    @property
    def left_behind(self) -> int:
        """How many processes it had left to themselves when it ended."""
        return self._channel.left_behind

    def hello(self) -> HelloReply:
        """Ask who is there."""
        return self._ask(Hello(id=self._next()), HelloReply)

    def describe(self) -> list[Capability]:
        """Ask what is implemented."""
        return self._ask(Describe(id=self._next()), DescribeReply).implementations

    def prepare(self, job: Job) -> PrepareReply:
        """Load `job`."""
        return self._ask(Prepare(id=self._next(), job=job), PrepareReply)

    def verify(self, into: Path) -> VerifyReply:
        """Run once and have the outputs written into folder `into`."""
        reply = self._ask(Verify(id=self._next(), into=str(into)), VerifyReply)
        if reply.elapsed_ns <= 0:
            raise Invalid(f"{self.name} reports {reply.elapsed_ns} ns for a call; a clock that runs gives more than 0")
        return reply

    def run(
        self,
        rounds: int,
        iterations: int,
        keep: int | None = None,
        *,
        tick: Callable[[], None] | None = None,
    ) -> RunReply:
        """Time `rounds` of `iterations` calls; every duration that comes back is a positive whole number.

        Raises:
            ProtocolError: there are fewer or more rounds than asked, or no digest of the one to keep.
            Invalid: a duration is not positive.

        """
        request = Run(id=self._next(), rounds=rounds, iterations=iterations, keep=keep)
        reply = self._ask(request, RunReply, tick=tick)
        if len(reply.elapsed_ns) != rounds:
            raise ProtocolError(f"{self.name} sent {len(reply.elapsed_ns)} rounds, {rounds} were asked")
        if any(len(parts) != rounds for parts in reply.spans.values()):
            raise ProtocolError(f"{self.name} sent spans of another number of rounds than the {rounds} that were asked")
        if (reply.digest is None) != (keep is None):
            raise ProtocolError(f"{self.name} was asked to keep round {keep} and sent digest {reply.digest!r}")
        if min(reply.elapsed_ns) <= 0:
            raise Invalid(
                f"{self.name} reports a round of {min(reply.elapsed_ns)} ns; a clock that runs gives more than 0"
            )
        return reply

    def outputs(self, into: Path) -> OutputsReply:
        """Have the kept outputs written into folder `into`."""
        return self._ask(Outputs(id=self._next(), into=str(into)), OutputsReply)

    def rename(self, name: str) -> None:
        """Work for the member `name` from now on; messages call it so."""
        self.name = self._channel.name = name

    def close(self) -> None:
        """Let the worker go."""
        self._channel.close()

    def _next(self) -> int:
        self._id += 1
        return self._id

    def _ask(
        self,
        request: Request,
        kind: type[_R],
        *,
        tick: Callable[[], None] | None = None,
    ) -> _R:
        reply = self._channel.exchange(request, seconds=self._seconds, tick=tick)
        if reply.id != request.id and not (isinstance(reply, ErrorReply) and reply.id == 0):
            msg = f"{self.name} answered request {reply.id} when {request.id} was asked"
            raise ProtocolError(msg)
        if isinstance(reply, ErrorReply):
            raise _ERRORS[reply.kind](f"{self.name}: {clean(reply.message)}")
        if not isinstance(reply, kind):
            raise ProtocolError(f"{self.name} answered {type(request).__name__} with {type(reply).__name__}")
        return reply


_ERRORS = {
    "unsupported": Unavailable,
    "invalid": ImplementationError,
    "failed": ImplementationError,
    "panic": Crashed,
}
