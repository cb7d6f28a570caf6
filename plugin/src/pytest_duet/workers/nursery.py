"""Start workers in fresh processes, each the quickest way that leaves it fresh: forked where that is safe, else spawned.

Not for asking them anything: ``client`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.errors import Unavailable
from pytest_duet.workers.process import spawn
from pytest_duet.workers.zygote import Zygote

if TYPE_CHECKING:
    from typing import Self

    from pytest_duet.plan import Start
    from pytest_duet.workers.process import ProcessChannel

_OURS = ("-m", "pytest_duet")
_PLACES = (1, 2)
"""Where that stands in a command: after the interpreter, or after one option of it."""


class Nursery:
    """Holds one zygote for each set of libraries and environment that was asked for; use `close` when done."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._zygotes: dict[object, Zygote | None] = {}

    def start(self, start: Start, name: str, seconds: float) -> ProcessChannel:
        """Return a channel to a fresh worker; importing libraries beforehand may take `seconds`.

        Raises:
            Unavailable: it cannot be started.

        """
        zygote = self._zygote(start, seconds)
        if zygote is not None:
            return zygote.fork(_arguments(start) or (), name)
        return spawn(start.argv, name=name, environment=start.environment, build=start.build)

    def __enter__(self) -> Self:
        """Return this nursery, to be closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let all zygotes go; workers stay."""
        for zygote in self._zygotes.values():
            if zygote is not None:
                zygote.close()
        self._zygotes.clear()

    def _zygote(self, start: Start, seconds: float) -> Zygote | None:
        """Return what workers of this kind are forked from; None where they have to be spawned."""
        if start.modules is None or _arguments(start) is None:
            return None
        key = (start.argv[0], start.modules, tuple(sorted(start.environment.items())))
        if key not in self._zygotes:
            self._zygotes[key] = _single_threaded(start, seconds)
        return self._zygotes[key]


def _arguments(start: Start) -> tuple[str, ...] | None:
    """Return what our own command is told in `start`, None where it starts something else."""
    for place in _PLACES:
        if start.argv[place : place + len(_OURS)] == _OURS:
            return start.argv[place + len(_OURS) :]
    return None


def _single_threaded(start: Start, seconds: float) -> Zygote | None:
    assert start.modules is not None
    try:
        zygote = Zygote(start.argv[0], start.modules, start.environment, seconds)
    except Unavailable:
        # A spawned worker will say better what is wrong.
        return None
    if zygote.threads == 1:
        return zygote
    zygote.close()
    return None
