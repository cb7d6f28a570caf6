"""The registry of probes, and `watch`, which applies all of them to one process.

To add a probe, write a module in this package with a function that `register` decorates; code outside the package may
register one as well. Nothing else needs to change: its reading is saved, shown and exported like all others.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pytest_duet import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_duet.records.schema import Reading

_NO_SAMPLE: Final = "no sample could be taken"
MomentName = Literal["prepared", "called", "begin", "sample", "end"]
"""In their order: the job is prepared; its first call is over; the steady work begins, is sampled, and is over."""


class Unreadable(Exception):
    """One probe cannot tell its value, for the reason in the message."""


class Unobservable(Exception):
    """Nothing can be read of the process, for the reason in the message."""


class Moment(NamedTuple):
    """A moment, and how long what it ends took."""

    name: MomentName
    elapsed_ns: int = 0


Steps = Generator[None, Moment, float]


class Probe(NamedTuple):
    """Reads one metric of one process.

    `read` gets the process id and returns a generator that is sent each moment in turn and returns the value in `unit`.
    If the generator raises `Unreadable`, the reading has the reason instead of a value; after an OSError no probe has a
    value. It is closed in any case.
    """

    name: str
    unit: str
    position: int
    read: Callable[[int], Steps]


PROBES: Final[dict[str, Probe]] = {}


def register(name: str, unit: str, position: int = 1000) -> Callable[[Callable[[int], Steps]], Probe]:
    """Return a decorator that registers a function as the `read` of a probe, in place of one of the same name.

    Readings are listed in ascending order of `position`.
    """

    def add(read: Callable[[int], Steps]) -> Probe:
        PROBES[name] = Probe(name, unit, position, read)
        return PROBES[name]

    return add


def until(name: MomentName) -> Generator[None, Moment, int]:
    """Wait for a moment and return its ns."""
    while (moment := (yield)).name != name:
        pass
    return moment.elapsed_ns


def samples(read: Callable[[], int]) -> Generator[None, Moment, list[int]]:
    """Return what `read` returned at each sample, without those at which it raised an OSError.

    Raises:
        Unreadable: there are none.
    """
    found = []
    yield from until("begin")
    while (yield).name == "sample":
        # The process may just have ended; the request that waits for it will report that.
        with suppress(OSError):
            found.append(read())
    if not found:
        raise Unreadable(_NO_SAMPLE)
    return found


def available() -> list[Probe]:
    """Return every registered probe, in the order of their readings; imports the modules of this package."""
    for module in pkgutil.iter_modules(telemetry.__path__):
        importlib.import_module(f"{telemetry.__name__}.{module.name}")
    return sorted(PROBES.values(), key=lambda probe: probe.position)


def unavailable(reason: str) -> list[Reading]:
    """Return the reading of every probe without a value, for `reason`."""
    return [_reading(probe, reason) for probe in available()]


@contextmanager
def watch(pid: int) -> Iterator[Watch]:
    """Attach every probe to process `pid`, which has imported its libraries, and close them at the end."""
    with ExitStack() as stack:
        yield Watch(pid, stack)


class Watch:
    """All probes on one process; `stack` closes them."""

    def __init__(self, pid: int, stack: ExitStack) -> None:
        self._probes = available()
        self._steps = {probe.name: probe.read(pid) for probe in self._probes}
        self._found: dict[str, float | str] = {}
        for steps in self._steps.values():
            stack.callback(steps.close)
        self._advance(next)

    def at(self, name: MomentName, elapsed_ns: int = 0) -> None:
        """Pass a moment on to every probe that can still tell.

        Raises:
            Unobservable: nothing can be read of the process.
        """
        self._advance(lambda steps: steps.send(Moment(name, elapsed_ns)))

    def readings(self) -> list[Reading]:
        """Return a reading for each probe: its value, or the reason why there is none."""
        return [_reading(probe, self._found.get(probe.name, _NO_SAMPLE)) for probe in self._probes]

    def _advance(self, move: Callable[[Steps], None]) -> None:
        for name, steps in self._steps.items():
            if name in self._found:
                continue
            try:
                move(steps)
            except StopIteration as done:
                self._found[name] = done.value
            except Unreadable as error:
                # A probe that is lost midway has seen only a part: no value is better than one that is too small.
                self._found[name] = str(error)
            except OSError as error:
                raise Unobservable(f"/proc cannot be read: {error}") from error


def _reading(probe: Probe, found: float | str) -> Reading:
    # The plugin asks for GPUs before any run; it must not pay for msgspec.
    from pytest_duet.records.schema import Reading

    value, reason = (None, found) if isinstance(found, str) else (found, "")
    return Reading(metric=probe.name, unit=probe.unit, value=value, reason=reason)
