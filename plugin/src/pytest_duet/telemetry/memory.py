"""Read a process's memory from ``/proc``: what it holds now, the most it held, and forget that peak.

Not for ``ru_maxrss``: a child's includes its spawner's peak.
"""

from __future__ import annotations

import re
from pathlib import Path

_RESET_PEAK = "5"
_FIELD = r"^{name}:\s+(\d+) kB$"


def reset_peak(pid: int) -> None:
    """Make the peak of `pid` start anew from what it holds now (``man 5 proc``, clear_refs).

    Raises:
        OSError: the kernel does not allow it.

    """
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def peak_bytes(pid: int) -> int:
    """Return the most resident memory `pid` has held, in bytes. It must still be alive: a zombie has none."""
    return _status(pid, "VmHWM")


def resident_bytes(pid: int) -> int:
    """Return the resident memory `pid` holds now, in bytes."""
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    found = re.search(_FIELD.format(name=name), Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        msg = f"/proc/{pid}/status has no {name}"
        raise OSError(msg)
    return int(found[1]) * 1024
