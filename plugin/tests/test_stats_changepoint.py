"""Change points: found where there are some, and independent of the unit."""

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
def test_values_before_a_change_are_not_steady(change: int, size: float) -> None:
    values = _noise(60, 1)
    values[:change] += size
    assert steady_from(values) == pytest.approx(change, abs=1)


def test_a_start_with_several_levels_is_dropped() -> None:
    values = _noise(90, 2)
    values[:10] += 2.0
    values[10:30] += 0.7
    assert steady_from(values) == 30


def test_a_series_that_changed_at_its_end_is_not_steady() -> None:
    values = _noise(60, 3)
    values[:55] += 0.5
    assert steady_from(values) is None


def test_a_falling_series_is_not_steady() -> None:
    assert steady_from(np.linspace(2, 0, 60) + _noise(60, 4, 0.001)) is None


def test_a_level_that_returns_counts_as_a_change() -> None:
    values = _noise(60, 5)
    values[20:40] += 1.0
    assert steady_from(values) == 40


def test_a_change_that_is_too_small_is_ignored() -> None:
    values = _noise(60, 6, 0.0005)
    values[:30] += 0.01
    assert steady_from(values) == 0


@given(st.lists(st.floats(-5, 5), max_size=FEWEST - 1))
def test_too_few_values_count_as_steady(values: list[float]) -> None:
    assert steady_from(values) == 0


@given(st.lists(st.floats(-5, 5), min_size=FEWEST, max_size=40))
def test_a_steady_level_lasts_for_some_values(values: list[float]) -> None:
    start = steady_from(values)
    assert start is None or len(values) - start > 0.2 * len(values)


@pytest.mark.parametrize("shift", [-20.0, 3.0])
def test_the_unit_of_time_does_not_matter(shift: float) -> None:
    values = _noise(60, 7)
    values[:20] += 0.5
    assert steady_from(values) == steady_from(values + shift) == 20
