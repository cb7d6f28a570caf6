"""Single rounds: their autocorrelation and effective number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats.rounds import autocorrelation, effective_count, per_round


def test_the_autocorrelation_matches_statsmodels() -> None:
    from statsmodels.tsa.stattools import acf

    values = list(np.cumsum(np.random.default_rng(1).normal(size=200)))
    assert autocorrelation(values) == pytest.approx(acf(values, nlags=1, fft=False)[1])


@given(st.lists(st.integers(-50, 50).map(float), min_size=3, max_size=40))
def test_the_effective_number_of_rounds_is_never_larger_than_their_number(values: list[float]) -> None:
    count = effective_count(values)
    assert count is None or 0 < count <= len(values)


def test_a_drifting_series_has_few_effective_values_and_an_independent_one_nearly_all() -> None:
    rng = np.random.default_rng(2)
    independent = list(rng.normal(size=400))
    assert effective_count(list(np.cumsum(independent))) < 40
    assert effective_count(independent) > 300


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [3.0] * 9])
def test_a_constant_series_has_no_autocorrelation(values: list[float]) -> None:
    assert (autocorrelation(values), effective_count(values)) == (None, None)


def test_both_sides_are_described_with_their_tests() -> None:
    found = per_round([1.0, 1.1, 1.3, 1.2], [1.0, 0.9, 1.05, 1.1])
    assert [test.name for test in found.tests] == ["Welch t", "Mann-Whitney"]
    assert None not in found.autocorrelation
