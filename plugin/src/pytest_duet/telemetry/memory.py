"""The memory of a process, from ``/proc``.

Each function raises an OSError where ``/proc`` cannot be read or the process has ended; a zombie has no memory either.

``ru_maxrss`` would not do: a child's includes the peak of the process that forked it.
"""

from __future__ import annotations

import re
from pathlib import Path
from statistics import fmean

from pytest_duet.telemetry.probe import Steps, register, samples, until


def reset_peak(pid: int) -> None:
    """Make the kernel measure the peak of `pid` from now on (``man 5 proc``, clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_bytes(pid: int) -> int:
    """Return the most resident memory `pid` has held, in bytes."""
    return _status(pid, "VmHWM")


def resident_bytes(pid: int) -> int:
    """Return the resident memory `pid` holds now, in bytes."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        raise OSError(f"/proc/{pid}/status has no {name}")
    return int(found[1]) * 1024


@register("peak_memory", "bytes", 10)
def peak_memory(pid: int) -> Steps:
    """Return the most resident memory during the first call, preparation excluded."""
    yield from until("prepared")
    reset_peak(pid)
    yield from until("called")
    return peak_bytes(pid)


@register("prepared_memory", "bytes", 20)
def prepared_memory(pid: int) -> Steps:
    """Return the resident memory when the job is prepared and no call has been made."""
    yield from until("prepared")
    return resident_bytes(pid)


@register("average_memory", "bytes", 50)
def average_memory(pid: int) -> Steps:
    """Return the mean of the resident memory while the process works."""
    return fmean((yield from samples(lambda: resident_bytes(pid))))
