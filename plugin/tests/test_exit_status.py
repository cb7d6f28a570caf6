"""Exit statuses mean one thing each."""

from __future__ import annotations

import pytest

from pytest_duet.exit_status import Exit

PYTESTS = {
    Exit.PASSED: pytest.ExitCode.OK,
    Exit.FAILED: pytest.ExitCode.TESTS_FAILED,
    Exit.INTERRUPTED: pytest.ExitCode.INTERRUPTED,
    Exit.USAGE: pytest.ExitCode.USAGE_ERROR,
}


def test_a_status_of_pytest_keeps_its_meaning() -> None:
    assert {int(ours): int(theirs) for ours, theirs in PYTESTS.items()} == {each: each for each in map(int, PYTESTS)}
    assert {each for each in Exit if each in set(map(int, pytest.ExitCode))} == PYTESTS.keys()
