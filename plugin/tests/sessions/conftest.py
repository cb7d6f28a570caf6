"""Sessions run in this process, on a virtual clock and without observers, unless a test asks for the real ones."""

from __future__ import annotations

import contextlib
import importlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_duet.measure import time_group as group
from pytest_duet.measure.timing import time_members
from pytest_duet.phases import measure as phase
from pytest_duet.workers.host import Host

from .suites import REFERENCE_NS, TWIN_NS, Python, Suite, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORTED_ONCE = (
    "pytest_duet.cli",
    "pytest_duet.plugin.pytest_session",
    "pytest_duet.plugin.plan_view",
    "pytest_duet.plugin.progress",
    "pytest_duet.plugin.selection",
    "pytest_duet.plugin.summary",
    "scipy.stats",
    "statsmodels.stats.diagnostic",
    "threadpoolctl",
)
"""Modules that stay imported between sessions, because importing them twice fails or takes long."""

for _name in IMPORTED_ONCE:
    with contextlib.suppress(ImportError):
        importlib.import_module(_name)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    """Members report their own times, and no time counts towards the seconds of a group.

    On the machine's own clock, a session on a busy machine could run out of its seconds before it had its cells.
    """
    virtual = VirtualClock()
    monkeypatch.setattr(Host, "clock", virtual)
    monkeypatch.setattr(group, "time_members", partial(time_members, clock=lambda: 0.0))
    return virtual


@pytest.fixture(autouse=True)
def unobserved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Observe no member in a second process: observers have their own tests."""
    monkeypatch.setattr(phase, "observe_members", lambda *_: None)


@pytest.fixture
def pair(pytester: pytest.Pytester) -> Suite:
    """A suite with the reference `honest` and the rival `twin`, which is twice as fast."""
    return Suite(pytester.path, {"honest": Python(REFERENCE_NS, role="reference"), "twin": Python(TWIN_NS)}).write()


@pytest.fixture
def session(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest over the suite in this process."""

    def run(*args: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("benches", *args)

    return run
