"""Read how much processor time a process has used, over all its threads.

Not for wall time.
"""

from __future__ import annotations

from pathlib import Path


def used_ns(pid: int) -> int:
    """Return the time that the threads of `pid` have spent on a processor, in ns (first field of ``schedstat``).

    Threads that have ended no longer count; the ones that matter here live as long as their pool.

    Raises:
        OSError: the process is gone, or the kernel keeps no such figures.

    """
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total
