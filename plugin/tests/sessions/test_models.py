"""``--duet-model`` and its ini twin: a user's model replaces the one that a task trains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .suites import REFERENCE_NS, Python, Suite

if TYPE_CHECKING:
    from pathlib import Path

MODEL = '[model]\nfiles = ["slope.txt"]\n'

DATA = """\
from pathlib import Path

import numpy as np

from pytest_duet.errors import DataError


def make(params, rng):
    slope = 3.0
    if "model" in params:
        text = (Path(params["model"]) / "slope.txt").read_text()
        try:
            slope = float(text)
        except ValueError:
            raise DataError(f"{params['model']}/slope.txt: {text!r} is no number; write one") from None
    x = rng.standard_normal((params["rows"], 3))
    return {"x": x, "y": x @ np.array([slope, -2.0, 1.0]) + 0.1 * rng.standard_normal(len(x))}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """Return a written suite whose task takes a model."""
    members = {"honest": Python(REFERENCE_NS, role="reference"), "twin": Python()}
    written = Suite(pytester.path, members, rules=MODEL).write()
    (written.root / "benches" / "tiny" / "data.py").write_text(DATA)
    return written


def folder(root: Path, name: str, slope: str = "5.0") -> Path:
    """Write a model and return where it lies."""
    path = root / name
    path.mkdir()
    (path / "slope.txt").write_text(slope)
    return path


def test_every_member_runs_on_the_model_and_the_record_holds_only_its_digest(suite, session) -> None:
    model = folder(suite.root, "mine")
    session().assert_outcomes(passed=2)
    session(f"--duet-model=tiny={model}").assert_outcomes(passed=2)
    (own,), (foreign,) = (run.groups for run in suite.runs())

    assert own.data_digest != foreign.data_digest
    assert ("small", "tiny/fit-train-small") == (own.workload, own.id)
    name, _, digest = foreign.workload.partition("@model=")
    assert ("small", 8) == (name, len(digest))
    assert f"tiny/fit-train-{foreign.workload}" == foreign.id
    assert "mine" not in suite.runs()[1].__repr__()


def test_changed_weights_are_new_data_and_a_moved_folder_is_not(suite, session, pytester) -> None:
    first, moved, changed = folder(suite.root, "a"), folder(suite.root, "b"), folder(suite.root, "c", "6.0")
    for model in (first, moved, changed):
        session(f"--duet-model=tiny={model}")
    one, same, other = (run.groups[0] for run in suite.runs())

    assert (one.data_digest, one.id) == (same.data_digest, same.id)
    assert one.data_digest != other.data_digest
    assert one.id != other.id


def test_quality_limits_do_not_apply_to_a_users_model(suite, session) -> None:
    path = suite.root / "benches" / "tiny" / "task.toml"
    path.write_text(path.read_text().replace("r2 = 0.5", "r2 = 2.0"))
    session().assert_outcomes(failed=1, skipped=1)
    session(f"--duet-model=tiny={folder(suite.root, 'mine')}").assert_outcomes(passed=2)
    (bound,) = suite.runs()[-1].groups[0].members[0].quality

    assert ("r2", None, None) == (bound.metric, bound.floor, bound.ceiling)


def test_a_model_in_the_ini_file_is_relative_to_its_folder(suite, session) -> None:
    folder(suite.root, "mine")
    with (suite.root / "pytest.ini").open("a") as file:
        file.write("duet_model = tiny=mine\n")

    session().assert_outcomes(passed=2)

    assert "@model=" in suite.saved().groups[0].id


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("tiny", "'tiny' names no task and folder; write TASK=PATH"),
        ("tiny=", "'tiny=' names no task and folder; write TASK=PATH"),
        ("tinny=mine", "unknown task 'tinny'; did you mean 'tiny'[?]"),
        ("tiny=elsewhere", "*elsewhere: is not a folder; name one that holds slope.txt"),
        ("tiny=empty", "*slope.txt: cannot be read (No such file or directory); the folder must hold slope.txt"),
    ],
)
def test_a_model_that_cannot_be_used_is_a_usage_error_with_its_remedy(given, why, suite, session) -> None:
    (suite.root / "empty").mkdir()

    result = session(f"--duet-model={given}")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines([f"ERROR: *{why}"])


def test_two_models_for_one_task_are_a_usage_error(suite, session) -> None:
    result = session("--duet-model=tiny=a", "--duet-model=tiny=b")

    result.stderr.fnmatch_lines(["ERROR: --duet-model: two models for task 'tiny'; name one"])


def test_a_model_for_a_task_that_takes_none_is_refused(pair, session) -> None:
    result = session(f"--duet-model=tiny={folder(pair.root, 'mine')}")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["ERROR: *task tiny takes no model (its task.toml has no [[]model[]]); * do: none"])


def test_a_broken_model_fails_its_cases_with_the_message_of_the_recipe(suite, session) -> None:
    model = folder(suite.root, "mine", "steep")

    result = session(f"--duet-model=tiny={model}")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*slope.txt: 'steep' is no number; write one"])


def test_a_group_that_does_not_use_the_model_runs_as_usual(suite, session) -> None:
    path = suite.root / "benches" / "tiny" / "task.toml"
    path.write_text(path.read_text() + 'workloads = "other"\n[workloads.other]\nwhy = "w"\ndata = { rows = 50 }\n')

    session(f"--duet-model=tiny={folder(suite.root, 'mine')}").assert_outcomes(passed=4)

    small, other = suite.saved().groups
    assert "small" == small.workload
    assert other.workload.startswith("other@model=")
    assert {"honest": "ok", "twin": "ok"} == {each.name: each.status for each in other.members}
