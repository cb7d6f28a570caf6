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
    from collections.abc import Iterable, Iterator


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


def pin_to_one(pids: Iterable[int], rng: random.Random) -> None:
    """Move all threads of `pids` to one processor, drawn from those this process was given at its start."""
    if not hasattr(os, "sched_getaffinity"):
        return
    chosen = rng.choice(sorted(_allowed()))
    for pid in pids:
        _set(pid, {chosen})


def _allowed() -> set[int]:
    # The parent's set: our own has shrunk to one processor after the first call.
    return _ALLOWED


_ALLOWED: set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _set(pid: int, cpus: set[int]) -> None:
    """Set the affinity of every thread of `pid`; one that ended meanwhile needs none."""
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), cpus)
