"""``duet learn`` on a tiny suite: one training per seed, the verdicts, and the arguments it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from pytest_duet.cli import main

from .suites import REFERENCE_NS, TWIN_NS, Python, Suite

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A reference, a rival that learns the same, one that learns nothing, and one that fails."""
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "twin": Python(TWIN_NS),
        "idle": Python(output="result * 0 + [0.0, 0.0, 1e-9]"),
        "fails": Python(extra="raise ValueError('no gradient')"),
    }
    return Suite(tmp_path, members).write()


def _learn(suite: Suite, *args: str) -> Result:
    command = ["learn", "tiny", "fit", "--benches", str(suite.root / "benches")]
    return CliRunner().invoke(main, [*command, "--results", str(suite.root / "results"), *args])


def _document(result: Result) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = json.loads(result.stdout)
    return found


def test_each_seed_draws_new_data_for_all_members_alike(suite: Suite) -> None:
    result = _learn(suite, "--seeds", "3", "--member", "twin", "--json")

    assert 0 == result.exit_code, result.output
    members = _document(result)["members"]
    scores = {name: [run["score"] for run in members[name]["runs"]] for name in ("honest", "twin")}  # type: ignore[attr-defined]
    assert 3 == len(set(scores["honest"]))
    assert scores["honest"] == scores["twin"]


def test_below_ten_seeds_there_is_no_verdict(suite: Suite) -> None:
    result = _learn(suite, "--seeds", "9", "--member", "idle")

    assert 0 == result.exit_code, result.output
    assert "no verdict below 10 seeds" in result.stdout


def test_a_member_that_learns_nothing_is_worse_and_never_reaches_the_threshold(suite: Suite) -> None:
    result = _learn(suite, "--seeds", "10", "--member", "idle,twin", "--json")

    members = _document(result)["members"]
    assert ("worse", 0, [None, None, None]) == tuple(
        members["idle"][each] for each in ("word", "arrived", "median_time_ns")
    )
    assert ("inconclusive", 10) == tuple(members["twin"][each] for each in ("word", "arrived"))


def test_the_threshold_can_be_set(suite: Suite) -> None:
    result = _learn(suite, "--seeds", "2", "--member", "twin", "--threshold", "1.5")

    assert "reached 1.5" in result.stdout
    assert "0 of 2" in result.stdout
    assert "not reached" in result.stdout


def test_a_failed_training_is_named_and_leaves_no_verdict(suite: Suite) -> None:
    result = _learn(suite, "--seeds", "10", "--member", "fails")

    assert 1 == result.exit_code
    assert "not comparable: a run failed" in result.stdout
    assert "fails, seed 9: " in result.stdout
    assert "no gradient" in result.stdout


def test_trainings_are_saved_as_a_run(suite: Suite) -> None:
    _learn(suite, "--seeds", "2", "--member", "twin")

    run = suite.saved()
    assert ("learn", True, ["tiny/fit-train-small@seed=0", "tiny/fit-train-small@seed=1"]) == (
        run.mode,
        run.complete,
        [group.id for group in run.groups],
    )
    for group in run.groups:
        assert [("honest", "ok"), ("twin", "ok")] == [(each.name, each.status) for each in group.members]
        assert all(each.first_call_ns and each.quality[0].metric == "r2" for each in group.members)
    assert [] == suite.journals()


@pytest.mark.parametrize("args", [("--member", "twim"), ("--workload", "smal"), ("--profile", "smok")])
def test_an_unknown_name_is_refused_with_the_nearest_known_one(suite: Suite, args: tuple[str, str]) -> None:
    result = _learn(suite, *args)

    assert 2 == result.exit_code
    assert "did you mean" in result.output
