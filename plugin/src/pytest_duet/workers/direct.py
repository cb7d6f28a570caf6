"""A channel to a Python implementation in this very process: no pipe, no second interpreter.

Not for telemetry: this process holds every other framework too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.protocol import Reply, Request
    from pytest_duet.workers.host import Host


class DirectChannel:
    """Hands requests to `host`. A deadline cannot be enforced here: nothing can stop a call in this process but Ctrl-C."""

    def __init__(self, host: Host, name: str = "") -> None:
        """Talk to `host`."""
        self.name = name
        self.pid = os.getpid()
        self.left_behind = 0
        self._host = host

    def exchange(
        self,
        request: Request,
        *,
        seconds: float,  # noqa: ARG002 - see the class
        tick: Callable[[], None] | None = None,  # noqa: ARG002 - nobody can look while this process works
    ) -> Reply:
        """Return the host's reply."""
        return self._host.handle(request)

    def close(self) -> None:
        """Let the host restore what it changed."""
        self._host.close()
