"""``duet self-test`` prints its results, and goes on if a worker is missing or too old."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .suites import SCRIPTED_WORKER

if TYPE_CHECKING:
    from pathlib import Path


def self_test(worker: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it as briefly as possible, in its own process: the clock of sessions here stands still."""
    command = [sys.executable, "-m", "pytest_duet", "self-test", "--decisions=1", "--seconds=1.5"]
    return subprocess.run(
        [*command, "--worker", str(worker), *options], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def old_worker(tmp_path: Path) -> Path:
    """Return a worker without an empty call."""
    path = tmp_path / "old"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SCRIPTED_WORKER}" unsupported 1000\n')
    path.chmod(0o755)
    return path


def test_alarms_overheads_and_bias_are_printed(tmp_path: Path) -> None:
    result = self_test(tmp_path / "no-such-worker")

    assert result.returncode == 0, result.stderr
    assert "in 1 decisions" in result.stdout
    assert "an empty call, Python in a worker" in result.stdout
    assert "the same Python function, in a worker over in this process" in result.stdout
    assert "no-such-worker is not built: Rust is left out; build it with `make build`" in result.stderr


def test_the_json_holds_the_same_results(old_worker: Path) -> None:
    result = self_test(old_worker, "--json")

    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["false_alarms"]["decisions"] == sum(found["verdicts"].values()) == 1
    assert [each["path"] for each in found["overheads"]] == ["Python in this process", "Python in a worker"]
    assert all(each["clock_ns"] > 0 for each in found["overheads"])
    assert "no such thing here: Rust is left out" in result.stderr
