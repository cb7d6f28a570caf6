"""Fresh processes for watching, started before they are needed: an interpreter takes seconds to import its libraries.

Not for timing: a process that has worked before is never handed out.
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
    from typing import Self

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.workers.client import Client

    Upcoming = tuple[BoundGroup, Collection[str]]
    """The group that comes next, and the names of its members that were selected."""


_LOWEST = 19


class Prewarmed:
    """Unused served workers, by what starts them; several members of one framework are started alike."""

    def __init__(self) -> None:
        """Hold none yet."""
        self._waiting: dict[tuple[str, ...], list[Client]] = {}

    def __enter__(self) -> Self:
        """Return this object, to be closed."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close every process that waits."""
        self.close()

    def start(self, upcoming: Upcoming) -> None:
        """Start a process for the first of the `upcoming` members that is timed in this process; others start in no time.

        One and no more, and at the lowest priority: an import must not take from the worker that is observed meanwhile.
        None where there is only one CPU.
        """
        group, names = upcoming
        slow = (
            member.name
            for member in group.spec.members
            if member.name in names
            and not member.unsound
            and group.launches[member.name].kind == "direct"
            and group.launches[member.name].argv
        )
        name = next(slow, None)
        if name is None or self._waiting.get(group.launches[name].argv) or len(ALLOWED) < 2:  # noqa: PLR2004 - one for each
            return
        with contextlib.suppress(MemberError):
            client = open_client(group, name, served=True)
            _set_niceness(client.pid, _LOWEST)
            self._waiting.setdefault(group.launches[name].argv, []).append(client)

    def settle(self) -> None:
        """Wait until none of them is busy importing, so that nobody else works while the clock runs."""
        for clients in self._waiting.values():
            for client in clients:
                # One that cannot even greet says why when it is taken.
                with contextlib.suppress(MemberError):
                    client.hello()

    def take(self, group: BoundGroup, name: str) -> Client:
        """Return a fresh process for member `name`, from those that wait or a new one.

        Raises:
            MemberError: it cannot be started.

        """
        waiting = self._waiting.get(group.launches[name].argv)
        if waiting:
            client = waiting.pop()
            client.rename(name)
            # Alone at work it loses nothing by a low priority, where the system does not let it be raised again.
            _set_niceness(client.pid, 0)
            return client
        return open_client(group, name, served=True)

    def close(self) -> None:
        """Let all go that were not taken."""
        for clients in self._waiting.values():
            for client in clients:
                client.close()
        self._waiting.clear()


def _set_niceness(pid: int, niceness: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
