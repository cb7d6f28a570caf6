"""How the time of a member grows with size."""

from __future__ import annotations

import pytest

from pytest_duet.analysis.scaling import fit_growth
from pytest_duet.stats.scaling import Ratio


def test_the_exponent_is_over_all_sizes_and_the_last_over_the_two_largest() -> None:
    growth = fit_growth({10.0: 100.0, 100.0: 100.0, 1000.0: 1000.0}, [])
    assert growth.exponent.value == pytest.approx(0.5)
    assert growth.last_exponent == pytest.approx(1)


@pytest.mark.parametrize("times", [{}, {10.0: 100.0}])
def test_fewer_than_two_sizes_have_no_exponent(times: dict[float, float]) -> None:
    growth = fit_growth(times, [])
    assert (growth.exponent.value, growth.last_exponent) == (None, None)


def test_a_crossover_is_where_the_ratio_passes_one() -> None:
    ratios = [Ratio(10, 0.5, 0.4, 0.6), Ratio(1000, 2.0, 1.9, 2.1)]
    (found,) = fit_growth({10.0: 1.0, 1000.0: 2.0}, ratios).crossovers
    assert (found.size, found.upwards) == (pytest.approx(100), True)
