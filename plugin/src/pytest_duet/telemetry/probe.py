"""The registry of probes, and `watch`, which applies all of them to one process.

To add a probe, write a module in this package that defines and registers one; code outside the package may register
one as well. Nothing else needs to change: its reading is saved, shown and exported like all others.
"""

from __future__ import annotations

import importlib
import pkgutil
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from pytest_duet import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_duet.records.schema import Reading

NO_SAMPLE: Final = "no sample could be taken"


class Unreadable(Exception):
    """One probe cannot tell its value, for the reason in the message."""


class Unobservable(Exception):
    """Nothing can be read of the process, for the reason in the message."""


class Probe:
    """Reads one metric of one process; a new instance for each process that is observed.

    A subclass overrides the moments it needs; they come in the order below. Each may raise `Unreadable`: the probe is
    then left out, and its reading has the reason instead of a value.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    position: ClassVar[int] = 1000
    """Readings are listed in ascending order of it."""
    found: float | None = None
    """The value, once it is known."""

    def __init__(self, pid: int) -> None:
        """Attach to process `pid`, which has imported its libraries and prepared its job."""
        self.pid = pid

    def prepared(self, elapsed_ns: int) -> None:
        """Note that preparing the job took `elapsed_ns`; no call has been made yet."""

    def called(self, elapsed_ns: int) -> None:
        """Note that the first call took `elapsed_ns`."""

    def begin(self) -> None:
        """Note that the steady work is about to begin."""

    def sample(self) -> None:
        """Take a sample; called at intervals while the process works."""

    def end(self, wall_ns: int) -> None:
        """Note that the steady work is over and took `wall_ns`."""

    def value(self) -> float:
        """Return the value in `unit`: `found`, unless a subclass computes it from samples."""
        if self.found is None:
            raise Unreadable(NO_SAMPLE)
        return self.found

    def close(self) -> None:
        """Release what the probe holds; called whatever happened."""


PROBES: Final[dict[str, type[Probe]]] = {}
_ProbeType = TypeVar("_ProbeType", bound=type[Probe])


def register(probe: _ProbeType) -> _ProbeType:
    """Add the class `probe` to the registry, in place of one of the same name."""
    PROBES[probe.name] = probe
    return probe


def available() -> list[type[Probe]]:
    """Return every registered probe, in the order of their readings; imports the modules of this package."""
    for module in pkgutil.iter_modules(telemetry.__path__):
        importlib.import_module(f"{telemetry.__name__}.{module.name}")
    return sorted(PROBES.values(), key=lambda probe: probe.position)


def unavailable(reason: str) -> list[Reading]:
    """Return the reading of every probe without a value, for `reason`."""
    return [_reading(probe, None, reason) for probe in available()]


@contextmanager
def watch(pid: int) -> Iterator[Watch]:
    """Attach every probe to process `pid`, and close them at the end."""
    with ExitStack() as stack:
        yield Watch(pid, stack)


class Watch:
    """All probes on one process. It has the moments of a `Probe` and passes each on to those that can still tell."""

    def __init__(self, pid: int, stack: ExitStack) -> None:
        """Attach the probes; `stack` closes them."""
        self._kinds = available()
        self._probes: dict[str, Probe] = {}
        self._reasons: dict[str, str] = {}
        for kind in self._kinds:
            try:
                probe = kind(pid)
            except Unreadable as error:
                self._reasons[kind.name] = str(error)
                continue
            stack.callback(probe.close)
            self._probes[kind.name] = probe

    def prepared(self, elapsed_ns: int) -> None:
        """Pass on that preparing the job took `elapsed_ns`."""
        self._each(lambda probe: probe.prepared(elapsed_ns))

    def called(self, elapsed_ns: int) -> None:
        """Pass on that the first call took `elapsed_ns`."""
        self._each(lambda probe: probe.called(elapsed_ns))

    def begin(self) -> None:
        """Pass on that the steady work is about to begin."""
        self._each(lambda probe: probe.begin())

    def sample(self) -> None:
        """Let every probe take a sample."""
        self._each(lambda probe: probe.sample())

    def end(self, wall_ns: int) -> None:
        """Pass on that the steady work took `wall_ns`."""
        self._each(lambda probe: probe.end(wall_ns))

    def readings(self) -> list[Reading]:
        """Return a reading for each probe: its value, or the reason why there is none."""
        values: dict[str, float] = {}

        def read(probe: Probe) -> None:
            values[probe.name] = probe.value()

        self._each(read)
        return [_reading(kind, values.get(kind.name), self._reasons.get(kind.name, "")) for kind in self._kinds]

    def _each(self, do: Callable[[Probe], None]) -> None:
        for name, probe in list(self._probes.items()):
            try:
                do(probe)
            except Unreadable as error:
                # A probe that is lost midway has seen only a part: no value is better than one that is too small.
                self._reasons[name] = str(error)
                del self._probes[name]


def mean(samples: list[int]) -> float:
    """Return the mean of `samples`.

    Raises:
        Unreadable: there are none.

    """
    if not samples:
        raise Unreadable(NO_SAMPLE)
    return sum(samples) / len(samples)


def _reading(probe: type[Probe], value: float | None, reason: str) -> Reading:
    # The plugin asks for GPUs before any run; it must not pay for msgspec.
    from pytest_duet.records.schema import Reading

    return Reading(metric=probe.name, unit=probe.unit, value=value, reason=reason)
