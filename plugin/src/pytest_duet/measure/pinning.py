"""Pin this process and its workers to one CPU while they take turns, and restore their CPUs afterwards.

Observed workers are not pinned: the thread check needs more than one CPU.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterable, Iterator


@contextlib.contextmanager
def restored(pids: Iterable[int]) -> Iterator[None]:
    """Restore the CPU affinity of `pids` when the block ends."""
    before = {}
    for pid in pids:
        # AttributeError: this system has no affinity.
        with contextlib.suppress(OSError, AttributeError):
            before[pid] = os.sched_getaffinity(pid)
    try:
        yield
    finally:
        for pid, cpus in before.items():
            _set(pid, cpus)


def obstacle(pids: Iterable[int]) -> str:
    """Return why `pids` cannot be pinned on this system, or an empty string if they can."""
    if not hasattr(os, "sched_getaffinity"):
        return "this system cannot pin processes to a CPU"
    try:
        for pid in pids:
            os.sched_setaffinity(pid, os.sched_getaffinity(pid))
    except OSError as error:
        return f"processes cannot be pinned here ({error.strerror})"
    return ""


def pin_to_one(pids: Iterable[int], rng: random.Random) -> None:
    """Pin all threads of `pids` to one CPU, drawn from `ALLOWED`."""
    chosen = rng.choice(sorted(ALLOWED))
    for pid in pids:
        _set(pid, {chosen})


# Read once at import: while members are timed, this process is pinned to one CPU itself.
ALLOWED: frozenset[int] = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
"""The CPUs that this process had at its start; empty if the system does not report them."""


def _set(pid: int, cpus: Collection[int]) -> None:
    """Set the CPU affinity of every thread of `pid`; ignore threads that have ended."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), cpus)
