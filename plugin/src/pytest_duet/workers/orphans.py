"""Find and kill the processes that a worker leaves behind, even those in a session of their own.

``process`` kills the worker and its process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from functools import cache
from pathlib import Path
from typing import Final

PARENT_VARIABLE: Final = "DUET_PARENT_PID"
"""Holds the pid that a worker expects as its parent's: the parent may die before the worker can check. Descendants inherit it."""

_PR_SET_CHILD_SUBREAPER: Final = 36

own_pids: set[int] = set()
"""The children that this process started itself, workers and fork servers. `kill_orphans` spares them."""


@cache
def become_subreaper() -> bool:
    """Make this process the parent of its orphaned descendants, in place of init; return whether that is possible."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def kill_orphans() -> int:
    """Kill and reap every orphan of a worker; return how many there were.

    The children of a killed orphan become orphans in turn, so this repeats until there are none.
    """
    killed = 0
    while found := [pid for pid in _children() if pid not in own_pids and _descends_from_a_worker(pid)]:
        for pid in found:
            killed += _kill_and_reap(pid)
    return killed


def reap_group(group: int) -> None:
    """Reap what is left of a killed process group: this process became the parent of its orphans."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)


def _children() -> set[int]:
    """Return the children of this process, whichever of its threads started them."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            # The file is missing if the thread has ended, or the kernel was built without it.
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def _descends_from_a_worker(pid: int) -> bool:
    """Return whether `pid` inherited `PARENT_VARIABLE`: a child that the user's own code started did not."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{PARENT_VARIABLE}={os.getpid()}".encode() in environment


def _kill_and_reap(pid: int) -> bool:
    """Kill child `pid`; return whether it was this call that reaped it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return False
    return True
