"""Processes are pinned to one CPU while they take turns, and get the others back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_duet.measure import pinning
from pytest_duet.measure.pinning import pin_to_one, restored

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = os.getpid()
ALL = os.sched_getaffinity(0)

THREADED = """
import os, threading
threading.Thread(target=os.read, args=(0, 1)).start()
os.write(1, b"up")
"""


@pytest.fixture
def threaded() -> Iterator[int]:
    """The pid of a process with two threads."""
    with subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", THREADED], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"up" == process.stdout.read(2)
        yield process.pid
        process.communicate(b"x")


def _tasks(pid: int) -> list[str]:
    return [task.name for task in Path(f"/proc/{pid}/task").iterdir()]


def _affinities(pid: int) -> list[set[int]]:
    return [os.sched_getaffinity(int(task)) for task in _tasks(pid)]


def test_all_threads_of_all_processes_share_one_cpu_and_get_all_back(threaded: int) -> None:
    with restored([HERE, threaded]):
        pin_to_one([HERE, threaded], random.Random(0))
        pinned = [*_affinities(HERE), *_affinities(threaded)]
    assert len(pinned) >= 3
    assert 1 == len(set.union(*pinned))
    assert [ALL] * len(pinned) == [*_affinities(HERE), *_affinities(threaded)]


def test_the_affinity_is_restored_after_a_failure() -> None:
    def interrupted() -> None:
        with restored([HERE]):
            pin_to_one([HERE], random.Random(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ALL == os.sched_getaffinity(0)


def test_every_cpu_is_drawn_even_while_this_process_is_pinned() -> None:
    rng = random.Random(0)
    drawn = set()
    with restored([HERE]):
        for _ in range(64 * len(ALL)):
            pin_to_one([HERE], rng)
            drawn |= os.sched_getaffinity(0)
    assert ALL == drawn


def test_a_process_that_has_ended_is_ignored() -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", ""]) as process:
        process.wait()
    with restored([process.pid, HERE]):
        pin_to_one([process.pid, HERE], random.Random(0))
        assert 1 == len(os.sched_getaffinity(0))
    assert ALL == os.sched_getaffinity(0)


def test_a_thread_that_was_started_while_pinned_is_restored_too() -> None:
    done, seen = threading.Event(), threading.Event()

    def wait() -> None:
        seen.set()
        done.wait(10)

    thread = threading.Thread(target=wait)
    with restored([HERE]):
        pin_to_one([HERE], random.Random(0))
        thread.start()
        seen.wait(10)
    after = _affinities(HERE)
    done.set()
    thread.join()
    assert [ALL] * len(after) == after


def test_a_system_without_pinning_is_reported_and_nothing_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pinning.os, "sched_getaffinity")
    with restored([HERE]):
        assert "this system cannot pin processes to a CPU" == pinning.obstacle([HERE])
    monkeypatch.undo()
    assert ("", ALL) == (pinning.obstacle([HERE]), os.sched_getaffinity(0))


def test_a_system_that_forbids_pinning_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(pinning.os, "sched_setaffinity", forbid)
    assert "processes cannot be pinned here (Operation not permitted)" == pinning.obstacle([HERE])
