"""Find and end what a worker leaves behind, even in a session of its own: no process outlives who started it.

Not for the worker and its group: ``process`` ends those.
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
"""Tells a worker whose child it should be: one that starts slowly may find another parent. Its children inherit it."""

_PR_SET_CHILD_SUBREAPER: Final = 36

ours: set[int] = set()
"""The processes that are meant to live: workers, and what workers are forked from."""


@cache
def adopt() -> bool:
    """Have the kernel make orphaned descendants children of this process instead of init's; say whether it does."""
    if not sys.platform.startswith("linux"):
        return False
    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def end_all() -> int:
    """Kill and reap every child that a worker left to this process; return how many there were.

    Killing one makes its own children ours, so it goes on until there are none.
    """
    ended = 0
    while found := [pid for pid in _children() if pid not in ours and _descends_from_a_worker(pid)]:
        for pid in found:
            ended += _end(pid)
    return ended


def reap_group(number: int) -> None:
    """Reap what is left of a process group that was killed: orphans come to us, and only we can let them go."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-number, 0)


def _children() -> set[int]:
    """Return the children of this process, whichever of its threads started them."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            # One that ended meanwhile has none; neither has a kernel that does not tell.
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in (task / "children").read_text().split())
    return found


def _descends_from_a_worker(pid: int) -> bool:
    """Tell a worker's child from one that the user's own code started: only the former inherited our mark."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{PARENT_VARIABLE}={os.getpid()}".encode() in environment


def _end(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        # Somebody else reaped it.
        return False
    return True
