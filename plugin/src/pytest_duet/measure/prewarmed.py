"""Fresh processes for observation, started before they are needed: Python takes seconds to import its libraries.

A process is handed out only once, so it has never run anything before.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from pytest_duet.binding.member import open_client
from pytest_duet.errors import MemberError
from pytest_duet.measure.pinning import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.workers.client import Client

    Upcoming = tuple[BoundGroup, Collection[str]]
    """The group that comes next, and the names of its members that were selected."""

_LOWEST_PRIORITY = 19


class Prewarmed(contextlib.AbstractContextManager["Prewarmed"]):
    """Holds an unused worker for each command that starts one, which members of one framework share."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, ...], Client] = {}

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, upcoming: Upcoming) -> None:
        """Start a process for the first of the `upcoming` members that is timed in this process; others start at once anyway.

        Only one process is started, and at the lowest priority, so that its imports do not disturb the worker that is
        observed meanwhile. None is started if this process has only one CPU.
        """
        group, names = upcoming
        launches = {each.name: group.launches[each.name] for each in group.spec.members if not each.unsound}
        slow = (name for name, launch in launches.items() if name in names and launch.kind == "direct" and launch.argv)
        name = next(slow, None)
        if name is None or group.launches[name].argv in self._waiting or len(ALLOWED) < 2:  # noqa: PLR2004 - one for each
            return
        with contextlib.suppress(MemberError):
            client = open_client(group, name, served=True)
            _set_niceness(client.pid, _LOWEST_PRIORITY)
            self._waiting[group.launches[name].argv] = client

    def settle(self) -> None:
        """Wait until all waiting processes have finished importing, so that none of them works while the clock runs."""
        for client in self._waiting.values():
            # If a worker cannot answer, the next request to it raises the reason.
            with contextlib.suppress(MemberError):
                client.hello()

    def take(self, group: BoundGroup, name: str) -> Client:
        """Return a fresh process for member `name`, from those that wait or a new one.

        Raises:
            MemberError: it cannot be started.
        """
        client = self._waiting.pop(group.launches[name].argv, None)
        if client is None:
            return open_client(group, name, served=True)
        client.rename(name)
        # If the system forbids this, the low priority does not matter: no other process is busy.
        _set_niceness(client.pid, 0)
        return client

    def close(self) -> None:
        """Close every process that was not taken."""
        for client in self._waiting.values():
            client.close()
        self._waiting.clear()


def _set_niceness(pid: int, niceness: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
