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
    from collections.abc import Iterable

    from pytest_duet.spec.group import MemberSpec
    from pytest_duet.workers.client import Client


_LOWEST_PRIORITY = 19


class Prewarmed:
    """Holds unused workers by the command that starts them, which members of one framework share."""

    def __init__(self) -> None:
        """Start no process yet."""
        self._waiting: dict[tuple[str, ...], list[Client]] = {}

    def start(self, members: Iterable[MemberSpec], seconds: float) -> None:
        """Start a process for the first of `members` that is timed in this process; others start in no time when needed.

        One and no more, and at the lowest priority: an import must not take from the worker that is watched meanwhile.
        Where there is one processor only, none.
        """
        slow = (each for each in members if each.start.kind == "direct" and each.start.argv and not each.unsound)
        member = next(slow, None)
        if member is None or self._waiting.get(member.start.argv) or len(ALLOWED) < 2:  # noqa: PLR2004 - one for each
            return
        with contextlib.suppress(MemberError):
            client = open_client(member, seconds, served=True)
            _set_niceness(client.pid, _LOWEST_PRIORITY)
            self._waiting.setdefault(member.start.argv, []).append(client)

    def settle(self) -> None:
        """Wait until all waiting processes have finished importing, so that none of them works while the clock runs."""
        for clients in self._waiting.values():
            for client in clients:
                # If a worker cannot answer, the next request to it raises the reason.
                with contextlib.suppress(MemberError):
                    client.hello()

    def take(self, member: MemberSpec, seconds: float) -> Client:
        """Return a fresh process for `member`, from those that wait or a new one.

        Raises:
            MemberError: it cannot be started.

        """
        waiting = self._waiting.get(member.start.argv)
        if waiting:
            client = waiting.pop()
            client.rename(member.name)
            # Alone at work it loses nothing by a low priority, where the system does not let it be raised again.
            _set_niceness(client.pid, 0)
            return client
        return open_client(member, seconds, served=True)

    def close(self) -> None:
        """Close every process that was not taken."""
        for clients in self._waiting.values():
            for client in clients:
                client.close()
        self._waiting.clear()


def _set_niceness(pid: int, niceness: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, niceness)
