"""Keep this process and its workers on one processor while they take turns, and give the others back afterwards.

Not for workers that are observed: the thread check needs more than one processor.
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
    """Restore the processors that `pids` may use now when the block ends."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    before = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            before[pid] = os.sched_getaffinity(pid)
    try:
        yield
    finally:
        for pid, cpus in before.items():
            _set(pid, cpus)


def obstacle(pids: Iterable[int]) -> str:
    """Return why `pids` cannot be pinned here, empty where they can."""
    if not hasattr(os, "sched_getaffinity"):
        return "this system does not let processes be pinned"
    try:
        for pid in pids:
            os.sched_setaffinity(pid, os.sched_getaffinity(pid))
    except OSError as error:
        return f"processes cannot be pinned here ({error.strerror})"
    return ""


def pin_to_one(pids: Iterable[int], rng: random.Random) -> None:
    """Move all threads of `pids` to one processor, drawn from those this process was given at its start."""
    chosen = rng.choice(sorted(ALLOWED))
    for pid in pids:
        _set(pid, {chosen})


# Taken once: while members are timed this process has one processor itself.
ALLOWED: frozenset[int] = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else frozenset()
"""The processors this process was given; empty where the system does not tell."""


def _set(pid: int, cpus: Collection[int]) -> None:
    """Set the affinity of every thread of `pid`; one that ended meanwhile needs none."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), cpus)
