"""Rounds as they are: alike, and therefore fewer than they seem."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats.rounds import autocorrelation, effective_count, per_round


def test_the_autocorrelation_is_that_of_statsmodels() -> None:
    from statsmodels.tsa.stattools import acf

    values = list(np.cumsum(np.random.default_rng(1).normal(size=200)))
    assert autocorrelation(values) == pytest.approx(acf(values, nlags=1, fft=False)[1])


@given(st.lists(st.integers(-50, 50).map(float), min_size=3, max_size=40))
def test_dependent_rounds_never_count_as_more_than_they_are(values: list[float]) -> None:
    count = effective_count(values)
    assert count is None or 0 < count <= len(values)


def test_a_drifting_series_counts_as_a_few_and_an_independent_one_as_nearly_all() -> None:
    rng = np.random.default_rng(2)
    independent = list(rng.normal(size=400))
    assert effective_count(list(np.cumsum(independent))) < 40
    assert effective_count(independent) > 300


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [3.0] * 9])
def test_what_does_not_vary_has_no_autocorrelation(values: list[float]) -> None:
    assert (autocorrelation(values), effective_count(values)) == (None, None)


def test_both_sides_are_told_with_their_tests() -> None:
    found = per_round([1.0, 1.1, 1.3, 1.2], [1.0, 0.9, 1.05, 1.1])
    assert [test.name for test in found.tests] == ["Welch t", "Mann-Whitney"]
    assert None not in found.autocorrelation
