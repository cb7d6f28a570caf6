"""Fork Python workers from a process that has imported their libraries and has one thread: fresh, and ready at once.

Both ends are here: `ForkServer` asks, `serve_forks` is what the process does. Not for what a worker does once it is there.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import socket
import subprocess
import traceback
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from pytest_duet.errors import Unavailable
from pytest_duet.workers import orphans
from pytest_duet.workers.process import GRACE_SECONDS, ProcessChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MESSAGE_BYTES: Final = 64 * 1024
_STREAMS: Final = 3


# --- this end ---------------------------------------------------------------------------------------------------------


class ForkServer:
    """One such process. `threads` is how many it has: with more than one it must not be forked."""

    def __init__(self, python: str, modules: Sequence[str], environment: Mapping[str, str], seconds: float) -> None:
        """Start it with interpreter `python`, and wait at most `seconds` until it has imported `modules`.

        Raises:
            Unavailable: it could not, or not in time.

        """
        orphans.adopt()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [python, "-P", "-m", "pytest_duet", "serve-forks", str(theirs.fileno()), *modules]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env={**os.environ, **environment, orphans.PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
        )
        orphans.ours.add(self._process.pid)
        theirs.close()
        self._socket.settimeout(seconds)
        try:
            self.threads = int(self._receive()["threads"])
        except BaseException:
            self.close()
            raise

    def fork(self, arguments: Sequence[str], name: str) -> ProcessChannel:
        """Return a channel to a fresh worker that does what ``python -m pytest_duet ARGUMENTS`` would.

        Raises:
            Unavailable: the fork_server does not answer.

        """
        pairs = [os.pipe() for _ in range(_STREAMS)]
        (theirs_in, stdin), (stdout, theirs_out), (stderr, theirs_err) = pairs
        theirs = [theirs_in, theirs_out, theirs_err]
        try:
            socket.send_fds(self._socket, [json.dumps(list(arguments)).encode()], theirs)
            pid = int(self._receive()["pid"])
        except BaseException as error:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
            # Its answer may come later, and would be taken for that to the next question.
            self.close()
            if isinstance(error, (OSError, Unavailable)):
                raise Unavailable(f"{name} cannot be forked: {error}") from error
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return ProcessChannel(_Forked(pid, stdin, stdout, stderr), name)

    def close(self) -> None:
        """Let it go."""
        self._socket.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        orphans.ours.discard(self._process.pid)

    def _receive(self) -> dict[str, Any]:
        try:
            message = self._socket.recv(_MESSAGE_BYTES)
        except TimeoutError:
            raise Unavailable("the process that Python workers are forked from does not answer") from None
        if not message:
            raise Unavailable("the process that Python workers are forked from has ended")
        answer: dict[str, Any] = json.loads(message)
        return answer


class _Forked:
    """A forked worker as a channel needs it: its parent is this process, to which it was left."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[bytes] | None = os.fdopen(stdin, "wb", buffering=0)
        self.stdout: IO[bytes] | None = os.fdopen(stdout, "rb", buffering=0)
        self.stderr: IO[bytes] | None = os.fdopen(stderr, "rb", buffering=0)

    def wait(self) -> int:
        """Wait for its end and return its status, as `subprocess` counts it."""
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


# --- the other end ----------------------------------------------------------------------------------------------------


def serve_forks(descriptor: int, modules: Sequence[str], work: Callable[[list[str]], object]) -> None:
    """Import `modules`, then fork a child for every request on socket `descriptor`; the child does `work(arguments)`."""
    for module in modules:
        # One that is missing, or no module at all, is told by the worker that needs it.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.collect()
    # What is there now lives on in every child: no collection needs to touch, and so copy, it.
    gc.freeze()
    with socket.socket(fileno=descriptor) as requests:
        requests.send(json.dumps({"threads": len(list(Path("/proc/self/task").iterdir()))}).encode())
        while True:
            message, streams, _, _ = socket.recv_fds(requests, _MESSAGE_BYTES, _STREAMS)
            if not message:
                return
            pid = _fork(partial(_be_worker, requests, json.loads(message), streams, work))
            for stream in streams:
                os.close(stream)
            requests.send(json.dumps({"pid": pid}).encode())


def _fork(child: Callable[[], None]) -> int:
    """Fork a child that is left to the nearest subreaper, our own parent; return its number."""
    told, tell = os.pipe()
    between = os.fork()
    if between == 0:
        middle = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(told)
                os.close(tell)
                # Until the one between is gone it is left to nobody. To whom it then is, `die_with_parent` asks: the session may
                # have been killed meanwhile.
                while os.getppid() == middle:
                    os.sched_yield()
                child()
            except BaseException:  # noqa: BLE001 - it must end here, whatever it is
                traceback.print_exc()
            finally:
                os._exit(1)
        os.write(tell, str(pid).encode())
        os._exit(0)
    os.close(tell)
    os.waitpid(between, 0)
    with os.fdopen(told, "rb") as reader:
        return int(reader.read())


def _be_worker(
    requests: socket.socket, arguments: list[str], streams: list[int], work: Callable[[list[str]], object]
) -> None:
    requests.close()
    os.setsid()
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    work(arguments)
    os._exit(0)
