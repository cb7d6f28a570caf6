"""The memory of a process, from ``/proc``.

``ru_maxrss`` would not do: a child's includes the peak of the process that forked it.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_duet.telemetry.probe import Probe, Unobservable, mean, register

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESET_PEAK = "5"
_FIELD = r"^{name}:\s+(\d+) kB$"


def reset_peak(pid: int) -> None:
    """Make the kernel measure the peak of `pid` from now on (``man 5 proc``, clear_refs).

    Raises:
        OSError: the kernel does not allow it.

    """
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def peak_bytes(pid: int) -> int:
    """Return the most resident memory `pid` has held, in bytes.

    Raises:
        OSError: the process has ended; a zombie has no memory either.

    """
    return _status(pid, "VmHWM")


def resident_bytes(pid: int) -> int:
    """Return the resident memory `pid` holds now, in bytes.

    Raises:
        OSError: the process has ended.

    """
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> int:
    found = re.search(_FIELD.format(name=name), Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if found is None:
        msg = f"/proc/{pid}/status has no {name}"
        raise OSError(msg)
    return int(found[1]) * 1024


@contextmanager
def _proc() -> Iterator[None]:
    """Turn an error of ``/proc`` into one that ends the observation: where it is hidden, no probe sees anything."""
    try:
        yield
    except OSError as error:
        raise Unobservable(f"/proc cannot be read: {error}") from error


@register
class PeakMemory(Probe):
    """The most resident memory during the first call, preparation excluded."""

    name, unit, position = "peak_memory", "bytes", 10

    def prepared(self, elapsed_ns: int) -> None:  # noqa: ARG002 - the moment counts, not how long it took
        """Forget the peak of preparing."""
        with _proc():
            reset_peak(self.pid)

    def called(self, elapsed_ns: int) -> None:  # noqa: ARG002 - likewise
        """Read the peak of the call."""
        with _proc():
            self.found = peak_bytes(self.pid)


@register
class PreparedMemory(Probe):
    """The resident memory when the job is prepared and no call has been made."""

    name, unit, position = "prepared_memory", "bytes", 20

    def prepared(self, elapsed_ns: int) -> None:  # noqa: ARG002 - the moment counts, not how long it took
        """Read the resident memory."""
        with _proc():
            self.found = resident_bytes(self.pid)


@register
class AverageMemory(Probe):
    """The mean of the resident memory while the process works."""

    name, unit, position = "average_memory", "bytes", 50

    def __init__(self, pid: int) -> None:
        """Hold no sample yet."""
        super().__init__(pid)
        self._samples: list[int] = []

    def sample(self) -> None:
        """Add the resident memory."""
        # The process may just have ended; the request that waits for it will report that.
        with suppress(OSError):
            self._samples.append(resident_bytes(self.pid))

    def value(self) -> float:
        """Return the mean in bytes."""
        return mean(self._samples)
