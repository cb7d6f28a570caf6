"""The CPU time of a process, over all its threads, including those that have ended; and the times of its cold start."""

from __future__ import annotations

import psutil

from pytest_duet.telemetry.probe import Steps, Unreadable, register, until


def busy_share(seconds: float) -> float:
    """Return the share of the time of all CPUs that was in use while this process waited for `seconds`: 0 to 1."""
    return float(psutil.cpu_percent(interval=seconds)) / 100


def used_ns(pid: int) -> int:
    """Return the user and system time of `pid` in ns, as fine as the kernel's clock tick (mostly 10 ms).

    Raises:
        OSError: the process has ended.
    """
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error as error:
        raise OSError(str(error)) from error
    return int((times.user + times.system) * 1e9)


@register("cpu_utilisation", "ratio", 60)
def cpu_utilisation(pid: int) -> Steps:
    """Return CPU time over wall time while the process works: 1 is one CPU fully in use."""
    try:
        yield from until("begin")
        before_ns = used_ns(pid)
        wall_ns = yield from until("end")
        return (used_ns(pid) - before_ns) / wall_ns
    except OSError as error:
        raise Unreadable(f"CPU time cannot be read: {error}") from error


@register("prepare_time", "ns", 30)
def prepare_time(_pid: int) -> Steps:
    """Return the time to load the data and prepare the job, in a process that has just imported its libraries."""
    return (yield from until("prepared"))


@register("first_call", "ns", 40)
def first_call(_pid: int) -> Steps:
    """Return the time of the first call."""
    return (yield from until("called"))
