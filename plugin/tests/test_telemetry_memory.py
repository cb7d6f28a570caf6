"""A process's memory as ``/proc`` tells it; the processes are real."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_duet.telemetry import memory

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024

GREEDY = """
import os, mmap
held = mmap.mmap(-1, 64 << 20)
held.write(b"x" * (64 << 20))
held.close()
os.write(1, b"freed")
os.read(0, 1)
"""


@pytest.fixture(scope="module")
def greedy() -> Iterator[int]:
    """The number of a process that held 64 MiB and has given them back."""
    with subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", GREEDY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"freed" == process.stdout.read(5)
        yield process.pid
        process.communicate(b"x")


def test_the_peak_remembers_what_was_freed_until_it_is_reset(greedy: int) -> None:
    before = memory.peak_bytes(greedy)
    memory.reset_peak(greedy)
    after = memory.peak_bytes(greedy)
    assert before > 64 * MIB
    assert after < before - 60 * MIB
    assert memory.resident_bytes(greedy) <= after


def test_a_process_holds_what_the_kernel_says_it_does() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    expected = pages * os.sysconf("SC_PAGE_SIZE")
    assert expected == pytest.approx(memory.resident_bytes(os.getpid()), abs=4 * MIB)


def test_a_process_that_has_ended_has_no_memory_to_tell() -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # A zombie still has a status, and no memory in it.
        with pytest.raises(OSError, match="has no VmHWM"):
            memory.peak_bytes(process.pid)
    with pytest.raises(FileNotFoundError):
        memory.resident_bytes(process.pid)
