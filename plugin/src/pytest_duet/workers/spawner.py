"""Start each worker in a fresh process: forked from a fork server if that is safe, else spawned."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pytest_duet.errors import Unavailable
from pytest_duet.workers.forkserver import ForkServer
from pytest_duet.workers.process import spawn

if TYPE_CHECKING:
    from pytest_duet.spec.group import LaunchSpec
    from pytest_duet.workers.process import ProcessChannel


class Spawner(contextlib.AbstractContextManager["Spawner"]):
    """Starts workers, and keeps one fork server for each set of modules and environment."""

    def __init__(self) -> None:
        self._fork_servers: dict[object, ForkServer | None] = {}

    def start(self, launch: LaunchSpec, name: str, seconds: float) -> ProcessChannel:
        """Return a channel to a fresh worker; a new fork server may take `seconds` to import its modules.

        Raises:
            Unavailable: the worker cannot be started.
        """
        for at in (1, 2):  # after the interpreter, or after one option of it
            forkable = launch.modules is not None and launch.argv[at : at + 2] == ("-m", "pytest_duet")
            if forkable and (fork_server := self._fork_server(launch, seconds)):
                return fork_server.fork(launch.argv[at + 2 :], name)
        return spawn(launch.argv, name=name, environment=launch.environment, build=launch.build)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all fork servers; workers go on."""
        for fork_server in self._fork_servers.values():
            if fork_server is not None:
                fork_server.close()
        self._fork_servers.clear()

    def _fork_server(self, launch: LaunchSpec, seconds: float) -> ForkServer | None:
        """Return the fork server for `launch`, or None if it does not start or has several threads: it must not fork then."""
        key = (launch.argv[0], launch.modules, tuple(sorted(launch.environment.items())))
        if key not in self._fork_servers:
            self._fork_servers[key] = None
            # If the fork server does not start, the spawned worker will report the cause, with its log.
            with contextlib.suppress(Unavailable):
                fork_server = ForkServer(launch.argv[0], launch.modules or (), launch.environment, seconds)
                if fork_server.threads == 1:
                    self._fork_servers[key] = fork_server
                else:
                    fork_server.close()
        return self._fork_servers[key]
