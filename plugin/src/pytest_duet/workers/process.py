"""A channel to a worker in a process of its own: start it, exchange lines with it under a deadline, and end it."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from pytest_duet.errors import Crashed, Killed, MemberError, ProtocolError, TimedOut, Unavailable
from pytest_duet.protocol import LINE_LIMIT_BYTES, SESSION_LIMIT_BYTES, Quit
from pytest_duet.workers import orphans
from pytest_duet.workers.codec import clean, decode_reply, encode, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_duet.protocol import Reply, Request

STDERR_KEPT_BYTES: Final = 4096
"""How many bytes from the end of a worker's log an error quotes."""

GRACE_SECONDS: Final = 2.0
"""How long a worker may take to exit before it is killed."""

_TICK_SECONDS: Final = 0.01
_EXIT_CHECK_SECONDS: Final = 0.25
_CHUNK_BYTES: Final = 65536


class Child(Protocol):
    """What a channel needs of a child process. Its streams are pipes, and it leads a process group, whose id is its pid."""

    pid: int
    returncode: int | None
    stdin: Any
    stdout: Any
    stderr: Any

    def wait(self) -> int:
        """Wait for the child to exit, reap it and return its status."""


def spawn(argv: Sequence[str], *, name: str, environment: Mapping[str, str], build: str = "") -> ProcessChannel:
    """Start `argv` with `environment` added to this process's own; `build` is the command that builds the program.

    Raises:
        Unavailable: the program cannot be started.
    """
    orphans.become_subreaper()
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **environment, orphans.PARENT_VARIABLE: str(os.getpid())},
            # A process group of its own: Ctrl-C reaches only pytest, and one signal ends the whole group.
            start_new_session=True,
        )
    except OSError as error:
        remedy = f"; build it: {build}" if build else ""
        raise Unavailable(f"{argv[0]} cannot be started ({error.strerror}){remedy}") from error
    return ProcessChannel(process, name)


class ProcessChannel:
    """A worker in a process of its own. If it misbehaves, the channel ends it and raises an error that says how."""

    def __init__(self, process: Child, name: str) -> None:
        self.name = name
        self._process = process
        self.pid = process.pid
        self.left_behind = 0
        orphans.own_pids.add(self.pid)
        self._buffer = bytearray()
        self._received = 0
        self._log = bytearray()
        self._ending = self._ended = False
        self._ended_with: MemberError | None = None
        self._selector = selectors.DefaultSelector()
        self._streams = (process.stdin, process.stdout, process.stderr)
        self._stdin, self._stdout, self._stderr = (stream.fileno() for stream in self._streams)
        for descriptor in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(descriptor, False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._stderr, selectors.EVENT_READ)

    def exchange(self, request: Request, *, seconds: float, tick: Callable[[], None] | None = None) -> Reply:
        """Return the reply to `request`; call `tick` about every 10 ms while waiting.

        Raises:
            TimedOut: there was no reply within `seconds`.
            Crashed, Killed: the process ended instead.
            ProtocolError: what came is not a reply.
        """
        phase = type(request).__name__.lower()
        if self._ended:
            raise self._ended_with or Crashed(f"{self.name} had ended before it was asked to {phase}")
        try:
            self._send(encode(request), phase, time.monotonic() + seconds)
            return decode_reply(self._line(phase, seconds, tick))
        except MemberError as error:
            # `_death` has ended the worker, and its error says all of this.
            unnamed = isinstance(error, ProtocolError) and not self._ended
            self._end()
            self._ended_with = ProtocolError(f"{self.name}, asked to {phase}: {error}") if unnamed else error
            self._ended_with.log = clean(self._log.decode(errors="replace").strip())
            raise self._ended_with from error
        except BaseException:
            # After Ctrl-C the worker is still busy with this request and cannot take another.
            self._end()
            raise

    def close(self) -> None:
        """Ask the worker to quit, give it `GRACE_SECONDS`, then end it and all processes it started."""
        if self._ended:
            return
        self._ending = True
        with contextlib.suppress(MemberError, OSError):
            self._send(encode(Quit(id=0)), "quit", time.monotonic() + GRACE_SECONDS)
        self._process.stdin.close()
        self._drain_until_exit(time.monotonic() + GRACE_SECONDS)
        self._end()

    def _send(self, line: bytes, phase: str, deadline: float) -> None:
        """Write `line`, and read what the worker writes meanwhile, so that neither blocks the other."""
        pending = memoryview(line)
        while pending:
            try:
                pending = pending[os.write(self._stdin, pending) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimedOut(f"{self.name} did not take its {phase} request in time") from None
                self._drain(_TICK_SECONDS)
            except OSError:
                raise self._death(phase) from None

    def _line(self, phase: str, seconds: float, tick: Callable[[], None] | None) -> bytes:
        """Return the next line that the worker writes, without its newline."""
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
            if not self._drain(min(left, _TICK_SECONDS if tick else _EXIT_CHECK_SECONDS)):
                raise self._death(phase)
            # A child of the worker may hold stdout open, so end of file alone does not reveal that the worker exited.
            if b"\n" not in self._buffer and self._exited() and not self._selector.select(0):
                raise self._death(phase)
            if tick:
                tick()

    def _drain(self, seconds: float) -> bool:
        """Wait up to `seconds` for output and read it; return False once stdout has ended."""
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
                # A worker that is ending must be able to write and exit, but no reply is expected: discard the output.
                if not self._ending:
                    self._buffer += chunk
                    self._received += len(chunk)
            else:
                self._log += chunk
                del self._log[:-STDERR_KEPT_BYTES]
        return self._stdout in self._selector.get_map()

    def _drain_until_exit(self, deadline: float) -> None:
        while not self._exited() and time.monotonic() < deadline:
            self._drain(_TICK_SECONDS)

    def _death(self, phase: str) -> MemberError:
        """End the worker; return the error that says how it ended instead of replying."""
        unfinished = f": {excerpt(bytes(self._buffer))} is not a whole line" if self._buffer else ""
        self._ending = True
        deadline = time.monotonic() + GRACE_SECONDS
        self._drain_until_exit(deadline)
        exited = self._exited()
        # Read the rest of the log. The deadline holds here too: a descendant may go on writing.
        while self._stderr in self._selector.get_map() and self._selector.select(0) and time.monotonic() < deadline:
            self._drain(0)
        self._end()
        status = self._process.wait()
        if not exited:
            return ProtocolError(f"{self.name} closed its output while asked to {phase}, and stayed alive")
        if status == 0:
            return ProtocolError(f"{self.name} left without answering {phase}{unfinished}")
        if status == -signal.SIGKILL:
            return Killed(f"{self.name} was killed while asked to {phase} (maybe out of memory)")
        if status < 0:
            return Crashed(f"{self.name} died of {signal.Signals(-status).name} while asked to {phase}")
        loader = " (it could not be loaded)" if status in {126, 127} else ""
        return Crashed(f"{self.name} exited with status {status}{loader} while asked to {phase}")

    def _exited(self) -> bool:
        """Return whether the worker has exited, without reaping it: its group's id must stay taken until the kill."""
        if self._process.returncode is not None:
            return True
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

    def _end(self) -> None:
        """End the worker's process group: SIGTERM, then SIGKILL after `GRACE_SECONDS`; kill its orphans too."""
        if self._ended:
            return
        self._ending = True
        try:
            if not self._exited():
                self._signal(signal.SIGTERM)
                with contextlib.suppress(OSError, ValueError):
                    self._drain_until_exit(time.monotonic() + GRACE_SECONDS)
        finally:
            # This also runs if a second Ctrl-C interrupts the wait.
            self._ended = True
            self._signal(signal.SIGKILL)
            self._process.wait()
            orphans.own_pids.discard(self.pid)
            self.left_behind += orphans.kill_orphans(self.pid)
            self._selector.close()
            for stream in self._streams:
                stream.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)
