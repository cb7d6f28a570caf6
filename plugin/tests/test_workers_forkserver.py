"""A forked worker is a fresh process and a child of this one, and it ends when its driver does."""

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
from pytest_duet.workers import spawner as spawner_module
from pytest_duet.workers.client import Client
from pytest_duet.workers.forkserver import ForkServer
from pytest_duet.workers.spawner import Spawner

from .fakes import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = Path(__file__).parent / "fakes" / "functions.py"
SECONDS = 60.0
ENDED_WITHIN_MS = 30_000


def _launch(function: str = "add", modules: tuple[str, ...] | None = ()) -> LaunchSpec:
    serve = (sys.executable, "-P", "-m", "pytest_duet", "serve", "--callable", f"{FUNCTIONS}::{function}")
    return LaunchSpec(
        "process", argv=(*serve, "--task", function), environment={"OMP_NUM_THREADS": "1"}, modules=modules
    )


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    with Spawner() as shared:
        yield shared


def _client(spawner: Spawner, launch: LaunchSpec) -> Client:
    return Client(spawner.start(launch, "forked", SECONDS), "forked", seconds=SECONDS)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_forked_worker_is_a_child_of_this_process_in_its_own_session(spawner: Spawner) -> None:
    with closing(_client(spawner, _launch())) as client:
        assert "python" == client.hello().framework
        assert (os.getpid(), client.pid, client.pid) == (
            _parent(client.pid),
            os.getsid(client.pid),
            os.getpgid(client.pid),
        )


def test_a_forked_worker_prepares_and_runs_a_job(spawner: Spawner) -> None:
    with closing(_client(spawner, _launch())) as client:
        client.hello()
        client.prepare(messages.job(task="add", algorithm="default", phase="call", params={"n": 1, "m": 2}))
        assert [True] * 3 == [ns > 0 for ns in client.run(3, 2).elapsed_ns]


def test_each_worker_is_another_process_and_ends_when_closed(spawner: Spawner) -> None:
    pids = []
    for _ in range(3):
        with closing(_client(spawner, _launch())) as client:
            client.hello()
            pids.append(client.pid)
    assert 3 == len(set(pids))
    assert [] == [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_a_forked_worker_reports_errors_as_any_worker_does(spawner: Spawner) -> None:
    with (
        closing(_client(spawner, _launch())) as client,
        pytest.raises(ImplementationError, match="nothing is prepared"),
    ):
        client.run(1, 1)


def test_workers_with_the_same_modules_share_a_fork_server(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(ForkServer):
        def __init__(self, *args: object) -> None:
            made.append(args)
            super().__init__(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(spawner_module, "ForkServer", Counted)
    with Spawner() as spawner:
        for launch in (_launch(), _launch("add"), _launch(modules=("json",))):
            with closing(_client(spawner, launch)) as client:
                client.hello()
    assert 2 == len(made)


def test_a_fork_server_with_several_threads_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    forked = []
    monkeypatch.setattr(ForkServer, "fork", lambda *_: forked.append(1))
    # A library that starts a thread when it is imported.
    path = [str(Path(__file__).parent / "fakes"), os.environ.get("PYTHONPATH", "")]
    launch = _launch(modules=("threaded",))
    environment = {**launch.environment, "PYTHONPATH": os.pathsep.join(path)}
    with Spawner() as spawner:
        channel = spawner.start(
            LaunchSpec("process", argv=launch.argv, environment=environment, modules=launch.modules), "spawned", SECONDS
        )
        with closing(channel):
            assert "python" == Client(channel, "spawned", seconds=SECONDS).hello().framework
    assert [] == forked


def test_a_program_other_than_duet_is_spawned(spawner: Spawner) -> None:
    launch = LaunchSpec("process", argv=(sys.executable, "-c", "pass"), modules=())
    with closing(spawner.start(launch, "other", SECONDS)) as channel:
        assert os.getpid() == _parent(channel.pid)


def test_a_fork_server_that_cannot_start_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="has ended"):
        ForkServer(sys.executable, (), {"PYTHONHOME": "/nowhere"}, SECONDS)


def test_workers_and_fork_server_end_when_their_driver_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(
        "import sys\nfrom pytest_duet.spec.group import LaunchSpec\nfrom pytest_duet.workers.spawner import Spawner\n"
        "spawner = Spawner()\n"
        f"launch = LaunchSpec('process', argv={_launch().argv!r}, environment={_launch().environment!r}, modules=())\n"
        "channel = spawner.start(launch, 'x', 60.0)\n"
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


def test_a_worker_does_not_wait_for_a_session_that_has_ended() -> None:
    """A session that is killed just as the worker is forked never becomes the worker's parent."""
    script = (
        "import socket\nfrom pytest_duet.workers.forkserver import _run_worker\n"
        "_run_worker(socket.socketpair()[0], [], [], lambda _: print('at work', flush=True))\n"
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


def test_no_descriptor_stays_open(spawner: Spawner) -> None:
    def one() -> int:
        with closing(_client(spawner, _launch())) as client:
            client.hello()
        return len(list(Path("/proc/self/fd").iterdir()))

    assert one() == one()
