"""The prediction of the next run: it matches scipy, and its error rates are as stated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_duet.stats.prediction import predict

numbers = st.lists(st.floats(-5, 5).map(lambda value: round(value, 6)), min_size=3, max_size=20)


def test_the_prediction_matches_a_calculation_by_hand() -> None:
    # Mean 50.10, standard deviation 1.3134, and 2.7764 is the 97.5 % quantile of t with 4 degrees of freedom.
    found = predict([51.4, 49.5, 48.7, 49.3, 51.6]).excess(50.10, 0.95)
    half = 2.7764 * 1.3134 * math.sqrt(1.2)
    assert (found.low, found.value, found.high) == pytest.approx((-half, 0.0, half), abs=2e-3)


@settings(deadline=None)
@given(numbers, st.floats(-6, 6))
def test_the_p_matches_scipys_t_test_of_one_value_against_many(history: list[float], value: float) -> None:
    if max(history) - min(history) < 1e-3:
        return
    found = predict(history)
    # One new observation against m old ones of the same variance is the t test whose second side has size one.
    expected = stats.t.sf(
        (value - np.mean(history)) / (np.std(history, ddof=1) * math.sqrt(1 + 1 / len(history))), len(history) - 1
    )
    assert found.p_above(value) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    excess = found.excess(value, 0.90)
    # Both are the same statement: p below 5 % and an interval above zero.
    assert (excess.low > 1e-9) == (found.p_above(value) < 0.05) or abs(excess.low) < 1e-6


@given(numbers, st.floats(0.1, 100), st.floats(-5, 5))
def test_a_common_scale_and_shift_change_nothing(history: list[float], scale: float, shift: float) -> None:
    plain, moved = predict(history), predict([each * scale + shift for each in history])
    if plain.scale < 1e-3:
        return
    assert moved.p_above(1.5 * scale + shift) == pytest.approx(plain.p_above(1.5), rel=1e-4, abs=1e-9)
    assert moved.smallest(0.01) == pytest.approx(scale * plain.smallest(0.01), rel=1e-4)


@given(st.permutations([1.0, 1.1, 0.9, 1.3, 1.2]))
def test_the_order_of_runs_does_not_matter(history: list[float]) -> None:
    assert predict(history).p_above(1.4) == pytest.approx(predict(sorted(history)).p_above(1.4))


def test_false_alarms_and_the_power_are_at_their_stated_levels() -> None:
    rng = np.random.default_rng(5)
    draws = rng.normal(0, 0.03, (4000, 11))
    alarms = seen = 0
    for row in draws:
        found = predict(list(row[:10]))
        alarms += found.p_above(row[10]) < 0.05
        seen += found.p_above(row[10] + found.smallest(0.05)) < 0.05
    assert 0.04 < alarms / 4000 < 0.06
    assert 0.85 < seen / 4000 < 0.95


def test_after_constant_runs_any_increase_alarms() -> None:
    found = predict([2.0] * 10)
    assert (found.p_above(2.0), found.p_above(2.1), found.smallest(0.01)) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("history", [[], [1.0]])
def test_one_run_predicts_nothing(history: list[float]) -> None:
    assert predict(history) is None
