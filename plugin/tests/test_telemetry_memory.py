"""The memory of real processes from ``/proc``."""

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
    """The id of a process that held 64 MiB and has freed them."""
    with subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", GREEDY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"freed" == process.stdout.read(5)
        yield process.pid
        process.communicate(b"x")


def test_the_peak_includes_freed_memory_until_it_is_reset(greedy: int) -> None:
    before = memory.peak_bytes(greedy)
    memory.reset_peak(greedy)
    after = memory.peak_bytes(greedy)
    assert before > 64 * MIB
    assert after < before - 60 * MIB
    assert memory.resident_bytes(greedy) <= after


def test_resident_memory_agrees_with_the_kernel() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    expected = pages * os.sysconf("SC_PAGE_SIZE")
    assert expected == pytest.approx(memory.resident_bytes(os.getpid()), abs=4 * MIB)


def test_an_ended_process_raises_os_error() -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        # A zombie still has a status, and no memory in it.
        with pytest.raises(OSError, match="has no VmHWM"):
            memory.peak_bytes(process.pid)
    with pytest.raises(FileNotFoundError):
        memory.resident_bytes(process.pid)
