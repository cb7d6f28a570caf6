"""A channel to a worker in a process of its own: spawned, held to deadlines, drained, and gone when it should be.

Not for what the lines mean: ``protocol`` encodes and decodes them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from pytest_duet.errors import Crashed, Killed, MemberError, ProtocolError, TimedOut, Unavailable
from pytest_duet.protocol import LINE_LIMIT_BYTES, SESSION_LIMIT_BYTES, Quit
from pytest_duet.workers import orphans
from pytest_duet.workers.codec import clean, decode_reply, encode, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    from pytest_duet.protocol import Reply, Request

STDERR_KEPT_BYTES: Final = 4096
"""How much of a worker's log a failure quotes: its end."""

GRACE_SECONDS: Final = 2.0
"""How long a worker may take to leave when told to, before it is killed."""

_TICK_SECONDS: Final = 0.01
_LIFE_SIGN_SECONDS: Final = 0.25
_CHUNK_BYTES: Final = 65536
_LOADER_FAILURES: Final = frozenset({126, 127})


class Child(Protocol):
    """A process of ours, as far as a channel needs it; its group has its own number."""

    pid: int
    returncode: int | None
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def wait(self) -> int:
        """Wait for its end, reap it and return its status."""


def spawn(
    argv: Sequence[str], *, name: str, environment: Mapping[str, str], build: str = "", cwd: str | None = None
) -> ProcessChannel:
    """Start `argv` with `environment` added to this process's own; `build` is the remedy quoted when it is missing.

    Raises:
        Unavailable: there is no such program.

    """
    orphans.adopt()
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=cwd,
            env={**os.environ, **environment, orphans.PARENT_VARIABLE: str(os.getpid())},
            # A group of its own: Ctrl-C stays with pytest, and the whole group can be ended at once.
            start_new_session=True,
        )
    except OSError as error:
        remedy = f"; build it: {build}" if build else ""
        raise Unavailable(f"{argv[0]} cannot be started ({error.strerror}){remedy}") from error
    return ProcessChannel(process, name)


class ProcessChannel:
    """One worker in a process of its own. Any misbehaviour ends it and raises the error that says what happened."""

    def __init__(self, process: Child, name: str) -> None:
        """Talk to `process`, whose three streams are pipes."""
        self.name = name
        self._process = process
        self.pid = process.pid
        self.left_behind = 0
        """How many processes it had left to themselves when it ended; they were ended too."""
        orphans.ours.add(self.pid)
        self._buffer = bytearray()
        self._received = 0
        self._log: deque[bytes] = deque()
        self._log_size = 0
        self._ending = self._gone = False
        self._ended_with: MemberError | None = None
        self._selector = selectors.DefaultSelector()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._stdin = self._process.stdin.fileno()
        self._stdout = self._process.stdout.fileno()
        self._stderr = self._process.stderr.fileno()
        for descriptor in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(descriptor, False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def exchange(self, request: Request, *, seconds: float, tick: Callable[[], None] | None = None) -> Reply:
        """Return the reply to `request`.

        Raises:
            TimedOut: none came within `seconds`.
            Crashed, Killed: the process ended instead.
            ProtocolError: what came is no reply.

        """
        phase = type(request).__name__.lower()
        if self._gone:
            raise self._ended_with or Crashed(f"{self.name} had ended before it was asked to {phase}")
        try:
            self._send(encode(request), phase, time.monotonic() + seconds)
            return decode_reply(self._line(phase, seconds, tick))
        except MemberError as error:
            self._end()
            if isinstance(error, ProtocolError) and not error.log:
                self._ended_with = self._quoting(ProtocolError(f"{self.name}, asked to {phase}: {error}"))
            else:
                self._ended_with = self._quoting(error)
            raise self._ended_with from error
        except BaseException:
            # Ctrl-C: a worker that is still busy with a request cannot be asked anything else.
            self._end()
            raise

    def close(self) -> None:
        """Ask the worker to leave, wait a moment, then end it and all it started."""
        if self._gone:
            return
        self._ending = True
        with contextlib.suppress(MemberError, OSError):
            self._send(encode(Quit(id=0)), "quit", time.monotonic() + GRACE_SECONDS)
        assert self._process.stdin is not None
        self._process.stdin.close()
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._exited() and time.monotonic() < deadline:
            self._drain(_TICK_SECONDS)
        self._end()

    # --- moving bytes -------------------------------------------------------------------------------------------------

    def _send(self, line: bytes, phase: str, deadline: float) -> None:
        """Write `line`, reading whatever the worker says meanwhile, so that neither waits for the other."""
        pending = memoryview(line)
        while pending:
            try:
                written = os.write(self._stdin, pending)
                pending = pending[written:]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimedOut(f"{self.name} did not take its {phase} request in time") from None
                self._drain(_TICK_SECONDS)
            except OSError:
                raise self._death(phase) from None

    def _line(self, phase: str, seconds: float, tick: Callable[[], None] | None) -> bytes:
        deadline = time.monotonic() + seconds
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > LINE_LIMIT_BYTES:
                shown = excerpt(bytes(self._buffer[:64]))
                raise ProtocolError(f"a line without end is over the limit of {LINE_LIMIT_BYTES} bytes: {shown}")
            if self._received > SESSION_LIMIT_BYTES:
                raise ProtocolError(f"more than {SESSION_LIMIT_BYTES} bytes came from one worker")
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimedOut(f"{self.name} did not answer {phase} within {seconds:g} s")
            if not self._drain(min(left, _TICK_SECONDS if tick else _LIFE_SIGN_SECONDS)):
                raise self._death(phase)
            # A child of the worker may hold its output open: the end of the file alone does not tell its death.
            if b"\n" not in self._buffer and self._exited() and not self._selector.select(0):
                raise self._death(phase)
            if tick:
                tick()

    def _drain(self, seconds: float) -> bool:
        """Wait up to `seconds` for output and take it in; False once stdout has ended."""
        for key, _ in self._selector.select(seconds):
            try:
                chunk = os.read(key.fd, _CHUNK_BYTES)
            except BlockingIOError:
                continue
            if not chunk:
                self._selector.unregister(key.fd)
                if key.fd == self._stdout:
                    return False
            elif key.fd == self._stdout:
                # Once nobody will ask for it any more, what comes is taken so that the worker can end, and dropped.
                if not self._ending:
                    self._buffer += chunk
                    self._received += len(chunk)
            else:
                self._remember(chunk)
        return self._stdout in self._selector.get_map()

    def _remember(self, chunk: bytes) -> None:
        self._log.append(chunk)
        self._log_size += len(chunk)
        while self._log_size - len(self._log[0]) >= STDERR_KEPT_BYTES:
            self._log_size -= len(self._log.popleft())

    def log(self) -> str:
        """Return the end of what the worker wrote to its log."""
        return clean(b"".join(self._log)[-STDERR_KEPT_BYTES:].decode(errors="replace").strip())

    # --- ends ---------------------------------------------------------------------------------------------------------

    def _death(self, phase: str) -> MemberError:
        """Return the error that says how the worker ended instead of answering."""
        said = f": {excerpt(bytes(self._buffer))} is no whole line" if self._buffer else ""
        self._ending = True
        deadline = time.monotonic() + GRACE_SECONDS
        while not self._exited() and time.monotonic() < deadline:
            self._drain(_TICK_SECONDS)
        ended = self._exited()
        # What is still in the pipe of its log; a flood has no end, so the deadline holds here too.
        while self._stderr in self._selector.get_map() and self._selector.select(0) and time.monotonic() < deadline:
            self._drain(0)
        self._end()
        status = self._process.wait()
        if not ended:
            return self._quoting(
                ProtocolError(f"{self.name} closed its output while asked to {phase}, and stayed alive")
            )
        if status == 0:
            return self._quoting(ProtocolError(f"{self.name} left without answering {phase}{said}"))
        if status == -signal.SIGKILL:
            return self._quoting(Killed(f"{self.name} was killed while asked to {phase} (maybe out of memory)"))
        if status < 0:
            return self._quoting(Crashed(f"{self.name} died of {signal.Signals(-status).name} while asked to {phase}"))
        loader = " (it could not be loaded)" if status in _LOADER_FAILURES else ""
        return self._quoting(Crashed(f"{self.name} exited with status {status}{loader} while asked to {phase}"))

    def _quoting(self, error: MemberError) -> MemberError:
        error.log = self.log()
        return error

    def _exited(self) -> bool:
        """Say whether the worker has ended, leaving it unreaped: its group's number must not be reused before the kill."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _end(self) -> None:
        """End the worker's whole group: politely, then not."""
        if self._gone:
            return
        self._ending = True
        try:
            if not self._exited():
                self._signal(signal.SIGTERM)
                deadline = time.monotonic() + GRACE_SECONDS
                while not self._exited() and time.monotonic() < deadline:
                    with contextlib.suppress(OSError, ValueError):
                        self._drain(_TICK_SECONDS)
        finally:
            # Also when a second Ctrl-C breaks the wait off.
            self._gone = True
            self._signal(signal.SIGKILL)
            self._process.wait()
            orphans.ours.discard(self.pid)
            orphans.reap_group(self.pid)
            self.left_behind += orphans.end_all()
            self._selector.close()
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
