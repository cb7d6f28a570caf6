"""Scores over seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_duet.stats.learning import (
    interquartile_mean,
    interquartile_mean_interval,
    median_time_to_reach,
    performance_profile,
    probability_of_improvement,
)

score = st.integers(-50, 50).map(float)
tasks = st.lists(st.lists(score, min_size=5, max_size=12), min_size=1, max_size=4)


def test_the_middle_half_alone_counts() -> None:
    assert interquartile_mean([[-1e9, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 1e9]]) == 3.5


def test_its_interval_covers_the_true_value_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        found = interquartile_mean_interval([list(rng.normal(5, 1, 10)), list(rng.normal(5, 1, 10))], rng)
        hits += found.low <= 5 <= found.high
    assert 0.86 < hits / 200 <= 1


@settings(max_examples=15, deadline=None)
@given(tasks, st.integers(1, 9))
def test_the_interval_holds_and_moves_with_the_scores(scores: list[list[float]], shift: int) -> None:
    plain = interquartile_mean_interval(scores, np.random.default_rng(0))
    moved = interquartile_mean_interval([[s + shift for s in task] for task in scores], np.random.default_rng(0))
    assert plain.low <= plain.high
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        (plain.value + shift, plain.low + shift, plain.high + shift)
    )


def test_four_seeds_show_no_interval_and_nine_are_not_judged_by() -> None:
    rng = np.random.default_rng(0)
    few = interquartile_mean_interval([[1.0, 2.0, 3.0, 4.0]], rng)
    some = interquartile_mean_interval([[float(seed) for seed in range(9)]], rng)
    assert (few.low, few.note) == (None, "needs 5 seeds a task, has 4")
    assert some.note == "9 seeds: too few to judge by"
    assert interquartile_mean_interval([], rng).value is None


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(score, min_size=1, max_size=6), st.lists(score, min_size=1, max_size=6)), min_size=1)
)
def test_the_probability_of_improvement_is_mann_whitneys_and_turns_round(
    pairs: list[tuple[list[float], list[float]]],
) -> None:
    this, other = zip(*pairs, strict=True)
    there = probability_of_improvement(this, other)
    expected = [stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)) for a, b in pairs]
    assert there == pytest.approx(np.mean(expected))
    assert probability_of_improvement(other, this) == pytest.approx(1 - there)


@given(tasks)
def test_a_profile_falls_from_all_to_none(scores: list[list[float]]) -> None:
    profile = performance_profile(scores, [-51.0, -10.0, 0.0, 10.0, 51.0])
    assert (profile[0], profile[-1]) == (1.0, 0.0)
    assert profile == sorted(profile, reverse=True)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([3.0, 1.0, 2.0], 2.0),
        ([3.0, 1.0, None], 3.0),
        ([1.0, None, None], None),
        ([None], None),
        ([], None),
        ([1.0, 2.0, None, None], 2.0),
    ],
)
def test_a_seed_that_never_gets_there_counts_as_late(times: list[float | None], expected: float | None) -> None:
    assert median_time_to_reach(times, 10.0) == expected


def test_the_median_time_is_kaplan_and_meiers() -> None:
    times = [4.0, 8.0, None, 2.0, None, 6.0, 7.0]
    data = stats.CensoredData.right_censored([10.0 if t is None else t for t in times], [t is None for t in times])
    survival = stats.ecdf(data).sf
    expected = next(q for q, p in zip(survival.quantiles, survival.probabilities, strict=True) if p <= 0.5)
    assert median_time_to_reach(times, 10.0) == expected
