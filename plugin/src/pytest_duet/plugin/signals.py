"""End a session in order when it is told to stop, so that what was finished is saved.

Not for Ctrl-C: pytest itself sees to that one.
"""

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
    """Make the stop signals end the session as Ctrl-C would, with the exit status a shell expects (128 + number)."""
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second one, while workers are being ended, must not break that off.
        signal.signal(number, signal.SIG_IGN)
        config.stash[STOPPED] = number
        # No `pytest.exit`: that is an Exception, which an implementation's own handler would take for its failure.
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in STOPS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    config.add_cleanup(restore)
