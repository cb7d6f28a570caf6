"""A channel to a Python implementation in this process: no pipe, no second interpreter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.protocol import Reply, Request
    from pytest_duet.workers.host import Host


class DirectChannel:
    """Passes requests to `host`. It cannot enforce a deadline: only Ctrl-C stops a call in this process."""

    def __init__(self, host: Host, name: str = "") -> None:
        """Create a channel to `host`."""
        self.name = name
        self.pid = os.getpid()
        self.left_behind = 0
        self._host = host

    def exchange(
        self,
        request: Request,
        *,
        seconds: float,  # noqa: ARG002 - see the class
        tick: Callable[[], None] | None = None,  # noqa: ARG002 - this process is busy with the request
    ) -> Reply:
        """Return the host's reply."""
        return self._host.handle(request)

    def close(self) -> None:
        """Close the host, which restores the thread limits."""
        self._host.close()
