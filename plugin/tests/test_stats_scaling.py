"""The exponent of a power law, and where two cross."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats.scaling import Ratio, crossovers, exponent

SIZES = [10.0, 100.0, 1000.0, 10_000.0]


@given(st.floats(-1, 4), st.floats(1e-6, 1e6))
def test_an_exact_power_law_gives_its_exponent(power: float, factor: float) -> None:
    found = exponent(SIZES, [factor * size**power for size in SIZES])
    assert power == pytest.approx(found.value, abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert found.low - 1e-9 <= power <= found.high + 1e-9


def test_the_interval_matches_scipys_regression() -> None:
    from scipy.stats import linregress, t

    times = [3.0, 21.0, 260.0, 1800.0]
    line = linregress([math.log(size) for size in SIZES], [math.log(time) for time in times])
    half = t.ppf(0.975, 2) * line.stderr
    found = exponent(SIZES, times)
    assert (line.slope, line.slope - half, line.slope + half) == pytest.approx((found.value, found.low, found.high))


def test_two_sizes_have_an_exponent_and_no_interval() -> None:
    found = exponent([10, 100], [1, 100])
    assert (2.0, None, None) == (pytest.approx(found.value), found.low, found.high)


@pytest.mark.parametrize(("sizes", "times"), [([10.0], [1.0]), ([10.0, 10.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 1.0])])
def test_sizes_without_a_fitted_line_have_no_exponent(sizes: list[float], times: list[float]) -> None:
    assert None is exponent(sizes, times).value


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_the_unit_of_size_and_time_does_not_matter(a: float, b: float) -> None:
    times = [3.0, 21.0, 260.0, 1800.0]
    found = exponent([a * size for size in SIZES], [b * time for time in times])
    assert exponent(SIZES, times).value == pytest.approx(found.value)


def _ratio(size: float, value: float, spread: float = 1.05) -> Ratio:
    return Ratio(size, value, value / spread, value * spread)


def test_a_crossing_is_interpolated_on_logarithms() -> None:
    (found,) = crossovers([_ratio(10, 0.5), _ratio(1000, 2.0)])
    assert (10, 1000, True) == (found.low, found.high, found.upwards)
    assert 100 == pytest.approx(found.size)


def test_ratios_whose_interval_holds_one_lie_between_the_crossing_sizes() -> None:
    (found,) = crossovers([_ratio(10, 2.0), _ratio(100, 1.01), _ratio(1000, 0.98), _ratio(10_000, 0.5)])
    assert (10, 10_000, False) == (found.low, found.high, found.upwards)


def test_ratios_on_one_side_do_not_cross() -> None:
    assert [] == crossovers([_ratio(10, 0.5), _ratio(100, 1.0), _ratio(1000, 0.7)])
