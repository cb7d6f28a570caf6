"""Scores of learners: interquartile means, probabilities of improvement, and times to a goal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats import learning

SCORES = st.lists(st.floats(-1e3, 1e3), min_size=5, max_size=20)


def test_the_interquartile_mean_matches_scipy() -> None:
    from scipy.stats import trim_mean

    scores = [3.0, 500.0, 70.0, 90.0, 120.0, 9.0, 200.0, 180.0]
    assert trim_mean(scores, 0.25) == pytest.approx(learning.interquartile_mean([scores]).value)


def test_one_lucky_seed_does_not_move_the_interquartile_mean() -> None:
    usual = [100.0] * 9
    assert learning.interquartile_mean([[*usual, 100.0]]).value == learning.interquartile_mean([[*usual, 500.0]]).value


@given(SCORES)
def test_the_interval_lies_within_the_scores(scores: list[float]) -> None:
    found = learning.interquartile_mean([scores])
    assert found.low is not None
    assert found.high is not None
    assert min(scores) - 1e-9 <= found.low <= found.high <= max(scores) + 1e-9


def test_runs_are_resampled_within_their_task() -> None:
    # Two tasks without any spread: nothing that is drawn within them can differ.
    found = learning.interquartile_mean([[1.0] * 5, [9.0] * 5])
    assert (5.0, 5.0, 5.0) == (found.value, found.low, found.high)


@given(SCORES, SCORES)
def test_the_probabilities_of_both_sides_add_up_to_one(ours: list[float], theirs: list[float]) -> None:
    there, back = (learning.probability_of_improvement(*sides).value for sides in ((ours, theirs), (theirs, ours)))
    assert there is not None
    assert back is not None
    assert 1.0 == pytest.approx(there + back)


def test_the_probability_of_improvement_matches_mann_whitney() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(1, 1, 12), rng.normal(0, 1, 11)
    share = mannwhitneyu(ours, theirs).statistic / (12 * 11)
    assert share == pytest.approx(learning.probability_of_improvement(list(ours), list(theirs)).value)


def test_the_interval_has_its_stated_coverage() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        found = learning.probability_of_improvement(list(rng.normal(0, 1, 15)), list(rng.normal(0, 1, 15)))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.5 <= found.high
    assert covered >= 176


def test_fewer_than_five_seeds_have_a_value_and_no_interval() -> None:
    found = learning.interquartile_mean([[1.0, 2.0, 3.0, 4.0]])
    assert (2.5, None, None) == (found.value, found.low, found.high)
    assert "use 5 or more" in found.note


def test_the_same_scores_give_the_same_interval() -> None:
    scores = [list(np.random.default_rng(2).normal(size=10))]
    assert learning.interquartile_mean(scores) == learning.interquartile_mean(scores)


def test_a_profile_is_the_share_of_runs_above_each_threshold() -> None:
    assert [1.0, 0.5, 0.0] == learning.performance_profile([10, 20, 30, 40], [5, 20, 40])


def test_a_run_that_missed_the_goal_is_later_than_any_that_reached_it() -> None:
    assert 3.0 == learning.median_time([1.0, 3.0, None]).value
    assert None is learning.median_time([1.0, None, None]).value


def test_the_interval_is_open_where_too_few_runs_reached_the_goal() -> None:
    found = learning.median_time([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, None, None, None])
    assert (5.5, 2.0, None) == (found.value, found.low, found.high)


def test_the_interval_of_the_median_has_its_stated_coverage() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        found = learning.median_time(list(rng.exponential(size=12)))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= np.log(2) <= found.high
    assert covered >= 368


def test_nine_seeds_give_no_verdict_however_clear_they_are() -> None:
    clear = learning.probability_of_improvement([2.0] * 9, [1.0] * 9)
    assert "no verdict below 10 seeds" == learning.word(clear, 9)


@pytest.mark.parametrize(("ours", "word"), [(2.0, "better"), (0.0, "worse"), (1.0, "inconclusive")])
def test_ten_seeds_give_the_verdict_of_their_interval(ours: float, word: str) -> None:
    assert word == learning.word(learning.probability_of_improvement([ours] * 10, [1.0] * 10), 10)
