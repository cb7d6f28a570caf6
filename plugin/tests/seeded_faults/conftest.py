"""Sessions here run on the real clock; processes are observed where a test asks for it."""

from __future__ import annotations

import pytest

from pytest_duet.phases import measure as phase

# What must not be imported anew in every session is the same there.
from ..sessions.conftest import IMPORTED_ONCE  # noqa: F401 - see above


@pytest.fixture
def observed() -> None:
    """Ask for the real observers."""


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No second process for every member, unless a test asks for it."""
    if "observed" not in request.fixturenames:
        monkeypatch.setattr(phase, "observe_members", lambda *_: None)
