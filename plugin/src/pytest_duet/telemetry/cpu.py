"""Read how much processor time a process has used, over all its threads, those that have ended included.

Not for wall time.
"""

from __future__ import annotations

import psutil


def busy_share(seconds: float) -> float:
    """Return the share of all processors' time that was in use while this process waited for `seconds`: 0 to 1."""
    return float(psutil.cpu_percent(interval=seconds)) / 100


def used_ns(pid: int) -> int:
    """Return the user and system time of `pid` in ns, as fine as the kernel's clock tick (mostly 10 ms).

    Raises:
        OSError: the process is gone.

    """
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error as error:
        raise OSError(str(error)) from error
    return int((times.user + times.system) * 1e9)
