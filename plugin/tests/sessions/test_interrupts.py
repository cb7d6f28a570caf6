"""A session that ends early keeps its finished groups, marks the others as interrupted, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from pytest_duet.records import journal

from .suites import REFERENCE_NS, Program, Python, Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytest_duet.records.schema import RunRecord

DEADLINE_SECONDS = 60.0

# A pipe that nobody writes to: it waits until a signal comes.
WAIT = """\
if self.x.shape[0] == 41:
    import os, pathlib
    pathlib.Path("second").touch()
    os.read(os.pipe()[0], 1)
"""


def by_group(run: RunRecord) -> dict[str, set[str]]:
    """Return the statuses in each group of `run`, by workload."""
    return {group.workload: {member.status for member in group.members} for group in run.groups}


# --- Ctrl-C, in this process ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        # Forty rows are the first group's, forty-one the second's.
        ("self.x.shape[0] == 40 and Fit.calls == 1", {"small": {"interrupted"}, "large": {"interrupted"}}),
        ("self.x.shape[0] == 40 and Fit.calls == 30", {"small": {"interrupted"}, "large": {"interrupted"}}),
        ("self.x.shape[0] == 41", {"small": {"ok"}, "large": {"interrupted"}}),
    ],
    ids=["first group, checking", "first group, timing", "second group"],
)
def test_ctrl_c_keeps_finished_groups_and_names_the_one_that_ran(pytester, when, expected) -> None:
    twin = Python(extra=f"if {when}:\n    raise KeyboardInterrupt")
    members = {"honest": Python(REFERENCE_NS, role="reference"), "twin": twin}
    suite = Suite(pytester.path, members, workloads=("small", "large")).write()

    result = pytester.runpytest_inprocess("benches", no_reraise_ctrlc=True)

    assert result.ret == pytest.ExitCode.INTERRUPTED
    if {"ok"} in expected.values():
        assert expected == by_group(suite.saved())
        assert not suite.saved().complete
    else:
        assert suite.runs() == []
    assert suite.journals() == []
    # The table is shown all the same.
    for workload, words in expected.items():
        result.stdout.fnmatch_lines([f"tiny * {workload} *"])
        (word,) = words
        if word == "interrupted":
            result.stdout.fnmatch_lines(["  twin * interrupted: the session ended before it"])


# --- signals, in a process of its own -------------------------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Suite, subprocess.Popen[bytes], list[int]]]:
    """Start a session and wait until its second group is at work; yield it with the workers' process ids."""
    waits = Python(extra=WAIT)
    members = {"honest": Program(ns=REFERENCE_NS, role="reference"), "program": Program(), "waits": waits}
    suite = Suite(tmp_path, members, workloads=("small", "large")).write()
    note = tmp_path / "pids"
    environment = {**suite.environment(), "SCRIPTED_PIDS": str(note)}
    process = subprocess.Popen(
        suite.command("-q"), cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        _wait((tmp_path / "second").exists, process)
        yield suite, process, [int(line) for line in note.read_text().split()]
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _wait(done: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Poll until `done`; fail if `process` ends or the deadline passes."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not done():
        if process is not None and process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(f"the session ended by itself: {process.stdout.read().decode()}")
        assert time.monotonic() < deadline, "it takes too long"
        os.sched_yield()


def _gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 2), (signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGHUP, 128 + signal.SIGHUP)],
)
def test_a_signal_ends_the_session_in_order(running, number, status) -> None:
    suite, process, pids = running

    process.send_signal(number)
    output = process.communicate(timeout=DEADLINE_SECONDS)[0].decode()

    assert status == process.returncode, output
    assert {"small": {"ok"}, "large": {"interrupted"}} == by_group(suite.saved())
    assert not suite.saved().complete
    assert suite.journals() == []
    assert "tiny/fit-train-large: honest interrupted" in output
    _wait(lambda: _gone(pids))


def test_a_killed_session_leaves_its_journal_and_no_worker(running) -> None:
    suite, process, pids = running

    process.kill()
    process.communicate()

    _wait(lambda: _gone(pids))
    assert suite.runs() == []
    (path,) = suite.journals()
    content = journal.read(path)
    assert content.dropped == ""
    assert {"small": {"ok"}} == by_group(content.run())
    assert not content.run().complete
