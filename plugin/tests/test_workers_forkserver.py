"""Workers forked from a process with its imports done: fresh, ours, told apart, and gone when we are."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import ImplementationError, Unavailable
from pytest_duet.spec.group import LaunchSpec
from pytest_duet.workers import orphans
from pytest_duet.workers import spawner as nurseries
from pytest_duet.workers.client import Client
from pytest_duet.workers.forkserver import ForkServer
from pytest_duet.workers.spawner import Spawner

from .fakes import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parent / "fakes" / "functions.py"
SECONDS = 60.0
ENDED_WITHIN_MS = 30_000


def _start(function: str = "add", modules: tuple[str, ...] | None = ()) -> LaunchSpec:
    ours = (sys.executable, "-P", "-m", "pytest_duet", "serve", "--callable", f"{FUNCTIONS}::{function}")
    return LaunchSpec(
        "process", argv=(*ours, "--task", function), environment={"OMP_NUM_THREADS": "1"}, modules=modules
    )


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    with Spawner() as shared:
        yield shared


def _client(spawner: Spawner, start: LaunchSpec) -> Client:
    return Client(spawner.start(start, "forked", SECONDS), "forked", seconds=SECONDS)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_forked_worker_is_a_child_of_ours_in_a_session_of_its_own(spawner: Spawner) -> None:
    with closing(_client(spawner, _start())) as client:
        assert "python" == client.hello().framework
        assert (os.getpid(), client.pid, client.pid) == (
            _parent(client.pid),
            os.getsid(client.pid),
            os.getpgid(client.pid),
        )


def test_it_does_its_job(spawner: Spawner) -> None:
    with closing(_client(spawner, _start())) as client:
        client.hello()
        client.prepare(messages.job(task="add", algorithm="default", phase="call", params={"n": 1, "m": 2}))
        assert [True] * 3 == [ns > 0 for ns in client.run(3, 2).elapsed_ns]


def test_every_one_is_another_process_and_all_are_gone_when_closed(spawner: Spawner) -> None:
    pids = []
    for _ in range(3):
        with closing(_client(spawner, _start())) as client:
            client.hello()
            pids.append(client.pid)
    assert 3 == len(set(pids))
    assert [] == [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_what_is_wrong_with_it_is_told_as_by_any_worker(spawner: Spawner) -> None:
    with closing(_client(spawner, _start())) as client, pytest.raises(ImplementationError, match="nothing is prepared"):
        client.run(1, 1)


def test_one_zygote_serves_all_that_are_started_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(ForkServer):
        def __init__(self, *args: object) -> None:
            made.append(args)
            super().__init__(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(nurseries, "ForkServer", Counted)
    with Spawner() as spawner:
        for start in (_start(), _start("add"), _start(modules=("json",))):
            with closing(_client(spawner, start)) as client:
                client.hello()
    assert 2 == len(made)


def test_one_with_several_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    forked = []
    monkeypatch.setattr(ForkServer, "fork", lambda *_: forked.append(1))
    # A library that starts a thread when it is imported.
    folder = Path(__file__).parent / "fakes"
    start = _start(modules=("threaded",))
    environment = {**start.environment, "PYTHONPATH": str(folder)}
    with Spawner() as spawner:
        channel = spawner.start(
            LaunchSpec("process", argv=start.argv, environment=environment, modules=start.modules), "spawned", SECONDS
        )
        with closing(channel):
            assert "python" == Client(channel, "spawned", seconds=SECONDS).hello().framework
    assert [] == forked


def test_what_is_no_worker_of_ours_is_spawned(spawner: Spawner) -> None:
    start = LaunchSpec("process", argv=(sys.executable, "-c", "pass"), modules=())
    with closing(spawner.start(start, "other", SECONDS)) as channel:
        assert os.getpid() == _parent(channel.pid)


def test_a_zygote_that_cannot_start_is_no_fault_of_the_worker() -> None:
    with pytest.raises(Unavailable, match="has ended"):
        ForkServer(sys.executable, (), {"PYTHONHOME": "/nowhere"}, SECONDS)


def test_all_are_gone_when_their_driver_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys\nfrom pytest_duet.spec.group import LaunchSpec\nfrom pytest_duet.workers.spawner import Spawner\n"
        "spawner = Spawner()\n"
        f"start = LaunchSpec('process', argv={_start().argv!r}, environment={_start().environment!r}, modules=())\n"
        "channel = spawner.start(start, 'x', 60.0)\n"
        "fork_server = next(iter(spawner._fork_servers.values()))\n"
        "print(channel.pid, fork_server._process.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        handles = [os.pidfd_open(int(pid)) for pid in driver.stdout.readline().split()]
        assert 2 == len(handles)
        driver.send_signal(signal.SIGKILL)
    try:
        for handle in handles:
            assert select.select([handle], [], [], ENDED_WITHIN_MS / 1000)[0]
    finally:
        for handle in handles:
            os.close(handle)


def test_a_worker_does_not_wait_for_a_session_that_is_gone() -> None:
    """A session may be killed in the very moment that a worker is left to it: it never becomes its parent."""
    script = (
        "import socket\nfrom pytest_duet.workers.forkserver import _be_worker\n"
        "_be_worker(socket.socketpair()[0], [], [], lambda _: print('at work', flush=True))\n"
    )
    environment = {**os.environ, orphans.PARENT_VARIABLE: "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        timeout=ENDED_WITHIN_MS / 1000,
        check=True,
    )
    assert b"at work\n" == done.stdout


def test_no_descriptor_is_left_open(spawner: Spawner) -> None:
    def one() -> int:
        with closing(_client(spawner, _start())) as client:
            client.hello()
        return len(list(Path("/proc/self/fd").iterdir()))

    assert one() == one()


# --- what it imports --------------------------------------------------------------------------------------------------
