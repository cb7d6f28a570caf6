"""Start workers in fresh processes, each the quickest way that leaves it fresh: forked where that is safe, else spawned.

Not for asking them anything: ``client`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.errors import Unavailable
from pytest_duet.workers.forkserver import ForkServer
from pytest_duet.workers.process import spawn

if TYPE_CHECKING:
    from typing import Self

    from pytest_duet.spec.group import LaunchSpec
    from pytest_duet.workers.process import ProcessChannel

_OURS = ("-m", "pytest_duet")
_PLACES = (1, 2)
"""Where that stands in a command: after the interpreter, or after one option of it."""


class Spawner:
    """Holds one fork_server for each set of libraries and environment that was asked for; use `close` when done."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._fork_servers: dict[object, ForkServer | None] = {}

    def start(self, start: LaunchSpec, name: str, seconds: float) -> ProcessChannel:
        """Return a channel to a fresh worker; importing libraries beforehand may take `seconds`.

        Raises:
            Unavailable: it cannot be started.

        """
        fork_server = self._fork_server(start, seconds)
        if fork_server is not None:
            return fork_server.fork(_arguments(start) or (), name)
        return spawn(start.argv, name=name, environment=start.environment, build=start.build)

    def __enter__(self) -> Self:
        """Return this spawner, to be closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let all fork_servers go; workers stay."""
        for fork_server in self._fork_servers.values():
            if fork_server is not None:
                fork_server.close()
        self._fork_servers.clear()

    def _fork_server(self, start: LaunchSpec, seconds: float) -> ForkServer | None:
        """Return what workers of this kind are forked from; None where they have to be spawned."""
        if start.modules is None or _arguments(start) is None:
            return None
        key = (start.argv[0], start.modules, tuple(sorted(start.environment.items())))
        if key not in self._fork_servers:
            self._fork_servers[key] = _single_threaded(start, seconds)
        return self._fork_servers[key]


def _arguments(start: LaunchSpec) -> tuple[str, ...] | None:
    """Return what our own command is told in `start`, None where it starts something else."""
    for place in _PLACES:
        if start.argv[place : place + len(_OURS)] == _OURS:
            return start.argv[place + len(_OURS) :]
    return None


def _single_threaded(start: LaunchSpec, seconds: float) -> ForkServer | None:
    assert start.modules is not None
    try:
        fork_server = ForkServer(start.argv[0], start.modules, start.environment, seconds)
    except Unavailable:
        # A spawned worker will say better what is wrong.
        return None
    if fork_server.threads == 1:
        return fork_server
    fork_server.close()
    return None
