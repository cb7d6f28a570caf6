"""Fork Python workers from a process that has imported their libraries: each worker is fresh and starts at once.

`ForkServer` is the client's end. `serve_forks` runs in the fork server's process, which must have one thread.
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
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import Unavailable
from pytest_duet.workers import orphans
from pytest_duet.workers.process import GRACE_SECONDS, ProcessChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MESSAGE_BYTES: Final = 64 * 1024
_STREAMS: Final = 3


class ForkServer:
    """One fork server. `threads` is how many threads it has; with several it must not fork."""

    def __init__(self, python: str, modules: Sequence[str], environment: Mapping[str, str], seconds: float) -> None:
        """Start it with interpreter `python`, and wait at most `seconds` until it has imported `modules`.

        Raises:
            Unavailable: it ended, or did not answer in time.
        """
        orphans.become_subreaper()
        self._socket, server_socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [python, "-P", "-m", "pytest_duet", "serve-forks", str(server_socket.fileno()), *modules]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[server_socket.fileno()],
            env={**os.environ, **environment, orphans.PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,
        )
        orphans.own_pids.add(self._process.pid)
        server_socket.close()
        self._socket.settimeout(seconds)
        try:
            self.threads = self._receive("threads")
        except BaseException:
            self.close()
            raise

    def fork(self, arguments: Sequence[str], name: str) -> ProcessChannel:
        """Return a channel to a fresh worker that does what ``python -m pytest_duet ARGUMENTS`` would do.

        Raises:
            Unavailable: the fork server does not answer.
        """
        (worker_stdin, stdin), (stdout, worker_stdout), (stderr, worker_stderr) = (os.pipe() for _ in range(_STREAMS))
        worker_ends = [worker_stdin, worker_stdout, worker_stderr]
        try:
            socket.send_fds(self._socket, [json.dumps(list(arguments)).encode()], worker_ends)
            pid = self._receive("pid")
        except BaseException as error:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)
            # A late answer would be taken for the answer to the next request.
            self.close()
            if isinstance(error, (OSError, Unavailable)):
                raise Unavailable(f"{name} cannot be forked: {error}") from error
            raise
        finally:
            for descriptor in worker_ends:
                os.close(descriptor)
        return ProcessChannel(_Forked(pid, stdin, stdout, stderr), name)

    def close(self) -> None:
        """Stop the fork server; its workers go on."""
        self._socket.close()
        try:
            self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        orphans.own_pids.discard(self._process.pid)

    def _receive(self, key: str) -> int:
        try:
            message = self._socket.recv(_MESSAGE_BYTES)
        except TimeoutError:
            raise Unavailable("the fork server of Python workers does not answer") from None
        if not message:
            raise Unavailable("the fork server of Python workers has ended")
        return int(json.loads(message)[key])


class _Forked:
    """A forked worker, as `ProcessChannel` needs it. As an orphan it is a child of this process, the subreaper."""

    def __init__(self, pid: int, stdin: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self.stdout = os.fdopen(stdout, "rb", buffering=0)
        self.stderr = os.fdopen(stderr, "rb", buffering=0)

    def wait(self) -> int:
        """Wait for the worker to exit and return its status, as `subprocess` counts it."""
        if self.returncode is None:
            _, status = os.waitpid(self.pid, 0)
            self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def serve_forks(descriptor: int, modules: Sequence[str], work: Callable[[list[str]], object]) -> None:
    """Import `modules`, then fork a child for each request on socket `descriptor`; the child calls `work(arguments)`."""
    for module in modules:
        # The worker that needs a module reports why it cannot be imported.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.collect()
    # Children share these objects' pages. A collection in a child would write to them, and so copy them.
    gc.freeze()
    with socket.socket(fileno=descriptor) as requests:
        requests.send(json.dumps({"threads": len(list(Path("/proc/self/task").iterdir()))}).encode())
        while True:
            message, streams, _, _ = socket.recv_fds(requests, _MESSAGE_BYTES, _STREAMS)
            if not message:
                return
            pid = _fork_orphan(partial(_run_worker, requests, json.loads(message), streams, work))
            for stream in streams:
                os.close(stream)
            requests.send(json.dumps({"pid": pid}).encode())


def _fork_orphan(child: Callable[[], None]) -> int:
    """Fork twice, so that the nearest subreaper, the parent of this process, adopts the grandchild; return its pid.

    The grandchild calls `child`.
    """
    pid_reader, pid_writer = os.pipe()
    middle = os.fork()
    if middle == 0:
        middle = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(pid_reader)
                os.close(pid_writer)
                # Wait until the middle process has exited and another has adopted this one. `die_with_parent` then checks
                # which: the session may have been killed meanwhile.
                while os.getppid() == middle:
                    os.sched_yield()
                child()
            except BaseException:  # noqa: BLE001 - it must not return into the fork server's loop
                traceback.print_exc()
            finally:
                os._exit(1)
        os.write(pid_writer, str(pid).encode())
        os._exit(0)
    os.close(pid_writer)
    os.waitpid(middle, 0)
    with os.fdopen(pid_reader, "rb") as reader:
        return int(reader.read())


def _run_worker(
    requests: socket.socket, arguments: list[str], streams: list[int], work: Callable[[list[str]], object]
) -> None:
    """Become a worker: a session of its own, `streams` as stdin, stdout and stderr, then `work(arguments)`."""
    requests.close()
    os.setsid()
    for standard, stream in enumerate(streams):
        os.dup2(stream, standard)
        os.close(stream)
    work(arguments)
    os._exit(0)
