"""Leave no process behind: end with the parent, and kill the orphans of a worker, even those in another session."""

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

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36

own_pids: set[int] = set()
"""The children that this process started itself, workers and fork servers. `kill_orphans` spares them."""


@cache
def become_subreaper() -> bool:
    """Make this process the parent of its orphaned descendants, in place of init; return whether that is possible."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Make the kernel kill this process when its parent dies (on Linux; elsewhere it exits at the end of stdin)."""
    parent = int(os.environ.get(PARENT_VARIABLE) or os.getppid())
    # The parent may have died before the call to prctl.
    if _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) and os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> bool:
    return sys.platform.startswith("linux") and bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


def kill_orphans(group: int) -> int:
    """Reap what is left of the killed process group `group`, kill every orphan of a worker; return how many there were.

    The children of a killed orphan become orphans in turn, so this repeats until there are none.
    """
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)
    killed = 0
    while found := [pid for pid in _children() if pid not in own_pids and _descends_from_a_worker(pid)]:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            # Another call may have reaped it.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
                killed += 1
    return killed


def _children() -> set[int]:
    """Return the children of this process, whichever of its threads started them."""
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        # The thread may have ended.
        with contextlib.suppress(OSError):
            found.update(map(int, file.read_text().split()))
    return found


def _descends_from_a_worker(pid: int) -> bool:
    """Return whether `pid` inherited `PARENT_VARIABLE`: a child that the user's own code started did not."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{PARENT_VARIABLE}={os.getpid()}".encode() in environment
