"""Make a stop signal end the session as Ctrl-C does, so that finished groups are saved; pytest handles Ctrl-C itself."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from types import FrameType

STOPS: Final = (signal.SIGTERM, signal.SIGHUP)

STOPPED = pytest.StashKey[int]()
"""The number of the signal that ended the session."""


def end_in_order(config: pytest.Config) -> None:
    """Make the stop signals end the session like Ctrl-C, with the exit status a shell expects (128 + number)."""
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal must not interrupt the shutdown of workers.
        signal.signal(number, signal.SIG_IGN)
        config.stash[STOPPED] = number
        # Not `pytest.exit`: it raises an Exception, which a handler for errors of an implementation would catch.
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in STOPS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    config.add_cleanup(restore)
