"""``duet ab --cmd``: two worker commands of a user, and the job that both get."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from pytest_duet.cli import main
from pytest_duet.extras.ab_commands import of_commands
from pytest_duet.ids import GroupKey

from .suites import SCRIPTED_WORKER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

BEFORE_NS = 2_000_000
PASSED, USAGE, ERROR, REGRESSION, INVALID = 0, 2, 4, 10, 12


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative files and results are in the temporary folder of the test."""
    monkeypatch.chdir(tmp_path)


def _ab(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ab", *arguments])


def _command(ns: int, fault: str = "honest") -> str:
    return f"{sys.executable} {SCRIPTED_WORKER} {fault} {ns}"


@pytest.mark.parametrize(
    ("ns", "fault", "status"),
    [
        (BEFORE_NS, "honest", PASSED),
        (BEFORE_NS * 21 // 20, "honest", REGRESSION),
        (BEFORE_NS, "wrong_sum", INVALID),
    ],
)
def test_two_worker_commands_are_compared(ns: int, fault: str, status: int) -> None:
    commands = ["--cmd", _command(BEFORE_NS), _command(ns, fault)]

    result = _ab(*commands, "--task", "sum", "--param", "n=3", "--param", "x=0.5")

    assert status == result.exit_code, result.output


GIVE = "give a .npy file of numbers"
UNREADABLE: dict[str, tuple[str, Callable[[Path], object]]] = {
    "there is no such file": ("check the path", lambda path: None),
    "is not a regular file": ("name one", os.mkfifo),
    "is empty": ("name another file", lambda path: path.touch()),
    "the magic string is not correct": (GIVE, lambda path: path.write_bytes(b"PK\x03\x04" + bytes(64))),
    "EOF in multi-line statement": (GIVE, lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + b"{(".ljust(118))),
    "Object arrays cannot be loaded": (GIVE, lambda path: np.save(path, np.array([{}]))),
}


@pytest.mark.parametrize("why", UNREADABLE)
def test_a_data_file_that_cannot_be_read_is_a_usage_error_with_its_remedy(tmp_path: Path, why: str) -> None:
    remedy, make = UNREADABLE[why]
    make(tmp_path / "x.npy")

    result = _ab("--cmd", "a", "b", "--task", "t", "--data", "x=x.npy")

    (line,) = [each for each in result.stderr.splitlines() if each.startswith("Error")]
    assert (USAGE, True) == (result.exit_code, line.startswith("Error: --data: x.npy")), result.output
    assert why in line
    assert line.endswith(f"; {remedy}")


def test_an_npz_archive_is_refused_as_a_data_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(3))

    result = _ab("--cmd", "a", "b", "--task", "t", "--data", f"x={tmp_path / 'x.npz'}")

    assert (USAGE, True) == (result.exit_code, "; give a .npy file of numbers" in result.stderr), result.output


def test_an_array_of_strings_is_refused_before_anything_is_measured() -> None:
    np.save("x.npy", np.array(["a"]))

    result = _ab("--cmd", "a", "b", "--task", "t", "--data", "x=x.npy")

    assert (ERROR, True) == (result.exit_code, "data 'x' has dtype <U1" in result.stderr), result.output


def test_arrays_of_different_shapes_are_different_data() -> None:
    shapes = [(2, 3), (3, 2)]
    seen = []
    for shape in shapes:
        np.save("x.npy", np.arange(6).reshape(shape))
        group = of_commands(("a", "b"), GroupKey("t", "default", "call", ""), (), ("x=x.npy",), "smoke")
        seen.append(group.data_set().arrays["x"].shape)

    assert shapes == seen
