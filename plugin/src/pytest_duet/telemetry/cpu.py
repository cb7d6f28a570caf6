"""The CPU time of a process, over all its threads, including those that have ended."""

from __future__ import annotations

import psutil

from pytest_duet.telemetry.probe import Probe, Unreadable, register


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


@register
class CpuUtilisation(Probe):
    """CPU time over wall time while the process works: 1 is one CPU fully in use."""

    name, unit, position = "cpu_utilisation", "ratio", 60
    _before_ns = 0

    def begin(self) -> None:
        """Note the CPU time used so far."""
        self._before_ns = self._used_ns()

    def end(self, wall_ns: int) -> None:
        """Set the CPU time used since against the wall time."""
        self.found = (self._used_ns() - self._before_ns) / wall_ns

    def _used_ns(self) -> int:
        try:
            return used_ns(self.pid)
        except OSError as error:
            raise Unreadable(f"CPU time cannot be read: {error}") from error
