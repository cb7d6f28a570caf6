"""Start each worker in a fresh process: forked from a fork server if that is safe, else spawned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.errors import Unavailable
from pytest_duet.workers.forkserver import ForkServer
from pytest_duet.workers.process import spawn

if TYPE_CHECKING:
    from typing import Self

    from pytest_duet.spec.group import LaunchSpec
    from pytest_duet.workers.process import ProcessChannel

_DUET = ("-m", "pytest_duet")
_DUET_AT = (1, 2)
"""Where a command may have `_DUET`: after the interpreter, or after the interpreter and one option."""


class Spawner:
    """Starts workers, and keeps one fork server for each set of modules and environment."""

    def __init__(self) -> None:
        """Start no fork server yet."""
        self._fork_servers: dict[object, ForkServer | None] = {}

    def start(self, launch: LaunchSpec, name: str, seconds: float) -> ProcessChannel:
        """Return a channel to a fresh worker; a new fork server may take `seconds` to import its modules.

        Raises:
            Unavailable: the worker cannot be started.

        """
        fork_server = self._fork_server(launch, seconds)
        if fork_server is not None:
            return fork_server.fork(_arguments(launch) or (), name)
        return spawn(launch.argv, name=name, environment=launch.environment, build=launch.build)

    def __enter__(self) -> Self:
        """Return this spawner."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close this spawner."""
        self.close()

    def close(self) -> None:
        """Close all fork servers; workers go on."""
        for fork_server in self._fork_servers.values():
            if fork_server is not None:
                fork_server.close()
        self._fork_servers.clear()

    def _fork_server(self, launch: LaunchSpec, seconds: float) -> ForkServer | None:
        """Return the fork server for `launch`, or None if its worker has to be spawned."""
        if launch.modules is None or _arguments(launch) is None:
            return None
        key = (launch.argv[0], launch.modules, tuple(sorted(launch.environment.items())))
        if key not in self._fork_servers:
            self._fork_servers[key] = _single_threaded(launch, seconds)
        return self._fork_servers[key]


def _arguments(launch: LaunchSpec) -> tuple[str, ...] | None:
    """Return the arguments that `launch` passes to ``python -m pytest_duet``, or None if it starts another program."""
    for at in _DUET_AT:
        if launch.argv[at : at + len(_DUET)] == _DUET:
            return launch.argv[at + len(_DUET) :]
    return None


def _single_threaded(launch: LaunchSpec, seconds: float) -> ForkServer | None:
    """Return a new fork server, or None if it does not start or has several threads: it must not fork then."""
    assert launch.modules is not None
    try:
        fork_server = ForkServer(launch.argv[0], launch.modules, launch.environment, seconds)
    except Unavailable:
        # The spawned worker will report the cause, with its log.
        return None
    if fork_server.threads == 1:
        return fork_server
    fork_server.close()
    return None
