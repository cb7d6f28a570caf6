"""Sessions here run on the real clock; processes are observed where a test asks for it."""

from __future__ import annotations

import pytest

# A session in this process forgets what it imported; these cannot be imported twice, or would take long to.
import pytest_duet.plugin.conductor
import pytest_duet.plugin.selection
import pytest_duet.plugin.summary
import scipy.stats  # noqa: F401 - see above
from pytest_duet.measure import group


@pytest.fixture
def observed() -> None:
    """Ask for the real observers."""


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No second process for every member, unless a test asks for it."""
    if "observed" not in request.fixturenames:
        monkeypatch.setattr(group._Session, "observe", lambda self, selected: None)
