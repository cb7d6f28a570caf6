"""Show what a long group is doing on one transient line of the terminal.

Nothing is written to a file or a CI log, where pytest's own dots suffice.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

_CLEAR = "\r\x1b[2K"


class Progress:
    """Called with the current step; an empty string clears the line. Shows nothing unless pytest writes to a terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._shown = bool(self._reporter and self._reporter.isatty and config.option.verbose >= 0)
        self._open = False

    def __call__(self, what: str) -> None:
        """Show `what` instead of the previous step."""
        if not self._shown or not (what or self._open):
            return
        text = _CLEAR + what[: max(self._reporter._tw.fullwidth - 1, 10)]  # noqa: SLF001 - there is no public width
        with nullcontext() if self._capture is None else self._capture.global_and_fixture_disabled():
            self._reporter.write(text, flush=True)
        self._open = bool(what)
