"""Where a series settles: found where it is known, not found where there is nothing, whatever the unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats.changepoint import FEWEST, steady_from


def _noise(n: int, seed: int, sigma: float = 0.01) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, n)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("sigma", [0.0, 0.001, 0.01, 0.1])
def test_a_series_that_never_changes_is_steady_from_the_start(seed: int, sigma: float) -> None:
    assert steady_from(_noise(60, seed, sigma)) == 0


@pytest.mark.parametrize("change", [1, 4, 10, 25])
@pytest.mark.parametrize("size", [0.1, 1.0, -0.5])
def test_what_comes_before_a_change_is_not_steady(change: int, size: float) -> None:
    values = _noise(60, 1)
    values[:change] += size
    assert steady_from(values) == pytest.approx(change, abs=1)


def test_a_jitted_start_is_thrown_away_step_by_step() -> None:
    values = _noise(90, 2)
    values[:10] += 2.0
    values[10:30] += 0.7
    assert steady_from(values) == 30


def test_a_series_that_changed_just_now_has_not_settled() -> None:
    values = _noise(60, 3)
    values[:55] += 0.5
    assert steady_from(values) is None


def test_a_series_that_falls_all_the_while_has_not_settled() -> None:
    assert steady_from(np.linspace(2, 0, 60) + _noise(60, 4, 0.001)) is None


def test_a_level_that_comes_back_is_a_change_all_the_same() -> None:
    values = _noise(60, 5)
    values[20:40] += 1.0
    assert steady_from(values) == 40


def test_a_change_too_small_to_matter_is_none() -> None:
    values = _noise(60, 6, 0.0005)
    values[:30] += 0.01
    assert steady_from(values) == 0


@given(st.lists(st.floats(-5, 5), max_size=FEWEST - 1))
def test_of_too_few_values_nothing_is_said(values: list[float]) -> None:
    assert steady_from(values) == 0


@given(st.lists(st.floats(-5, 5), min_size=FEWEST, max_size=40))
def test_whatever_settles_keeps_its_level_for_a_while(values: list[float]) -> None:
    start = steady_from(values)
    assert start is None or len(values) - start > 0.2 * len(values)


@pytest.mark.parametrize("shift", [-20.0, 3.0])
def test_the_unit_of_time_does_not_matter(shift: float) -> None:
    values = _noise(60, 7)
    values[:20] += 0.5
    assert steady_from(values) == steady_from(values + shift) == 20
