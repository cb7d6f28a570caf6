"""What trainings over several seeds show."""

from __future__ import annotations

import pytest

from pytest_duet.analysis.learning import Learning, Trial, document
from pytest_duet.report.learn import render


def learning(scores: dict[str, list[float | None]], threshold: float = 5.0) -> Learning:
    """Return trials that each took 1 ms; a score of None is a failure."""
    trials = [
        Trial(member, seed, score, None if score is None else 1_000_000, "" if score is not None else "no gradient")
        for member, each in scores.items()
        for seed, score in enumerate(each)
    ]
    return Learning("dqn", "dqn-train-cartpole", "sb3", "return", threshold, trials)


def test_a_trial_reaches_the_goal_from_the_threshold_on() -> None:
    found = learning({"sb3": [4.9, 5.0, 9.0, None]})
    assert (found.times("sb3"), found.reached("sb3")) == ([None, 1e6, 1e6, None], 2)
    assert found.scores("sb3") == [4.9, 5.0, 9.0]


def test_the_reference_has_neither_a_probability_nor_a_verdict() -> None:
    found = learning({"sb3": [1.0] * 10, "tch": [2.0] * 10})
    assert (found.improvement("sb3"), found.word("sb3")) == (None, None)
    assert found.improvement("tch").value == 1
    assert found.word("tch") == "better"


@pytest.mark.parametrize("failing", ["sb3", "tch"])
def test_a_failure_on_either_side_takes_the_verdict_away(failing: str) -> None:
    scores: dict[str, list[float | None]] = {"sb3": [1.0] * 10, "tch": [2.0] * 10}
    scores[failing][3] = None
    assert learning(scores).word("tch") == "not comparable: a run failed"


def test_the_document_keeps_every_trial_and_its_reason() -> None:
    members = document(learning({"sb3": [1.0, None]}))["members"]
    assert [run["reason"] for run in members["sb3"]["runs"]] == ["", "no gradient"]
    assert members["sb3"]["word"] is None


def test_the_table_has_a_line_for_each_member_and_each_failure() -> None:
    lines = render(learning({"sb3": [6.0] * 10, "tch": [7.0] * 9 + [None]})).splitlines()
    assert lines[0] == "dqn · dqn-train-cartpole: 10 seeds"
    assert lines[3].split()[:6] == ["sb3", "6.0", "[6.0,", "6.0]", "–", "reference"]
    assert "not comparable: a run failed" in lines[4]
    assert lines[-1] == "tch, seed 9: no gradient"


def test_a_table_without_any_score_is_still_a_table() -> None:
    assert "not reached" in render(learning({"sb3": [None]}))
