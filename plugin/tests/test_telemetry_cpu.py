"""The CPU time of real processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_duet.telemetry import cpu

# Its threads have ended when it reports: pools that are made for each call must count as well.
BUSY = """
import os, threading, time
def burn():
    end = time.thread_time_ns() + 30_000_000
    while time.thread_time_ns() < end:
        pass
threads = [threading.Thread(target=burn) for _ in range(2)]
for each in threads: each.start()
for each in threads: each.join()
os.write(1, b"done")
os.read(0, 1)
"""


def test_the_time_of_ended_threads_counts() -> None:
    with subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", BUSY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"done" == process.stdout.read(4)
        used = cpu.used_ns(process.pid)
        process.communicate(b"x")
    # Two threads of 30 ms each; the kernel's tick is 10 ms.
    assert 50_000_000 <= used < 5_000_000_000


def test_an_ended_process_raises_os_error() -> None:
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", ""]) as process:
        process.wait()
    with pytest.raises(OSError, match=str(process.pid)):
        cpu.used_ns(process.pid)


def test_the_cpu_time_of_this_process_agrees_with_the_kernel() -> None:
    times = os.times()
    expected = int((times.user + times.system) * 1e9)
    assert expected == pytest.approx(cpu.used_ns(os.getpid()), abs=100_000_000)
