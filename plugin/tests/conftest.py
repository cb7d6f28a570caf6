"""What every test here shares: `pytester`, warnings as errors, and examples that are the same in every CI run."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent

# A shell that starts tests in the background has them ignore Ctrl-C, and so would every process that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make a warning an error, in the tests below this folder only."""
    for item in items:
        if item.path.is_relative_to(HERE):
            # First, so that a test's own mark, which is applied later, can still allow one.
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the checkout."""
    return HERE.parents[1]


@pytest.fixture(scope="session")
def vectors(project: Path) -> Path:
    """The folder of vectors that the Rust harness is held to as well."""
    return project / "rust_crates" / "duet-worker" / "testdata"
