"""Corrections of p-values, also for families with missing values."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats.corrections import Method, adjust, fewest_units, simultaneous

METHODS = get_args(Method)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("bonferroni", (0.03, 0.12, 0.09)),
        ("holm", (0.03, 0.06, 0.06)),
        ("benjamini-hochberg", (0.03, 0.04, 0.04)),
        ("benjamini-yekutieli", (0.055, 0.22 / 3, 0.22 / 3)),
    ],
)
def test_each_method_matches_its_paper(method: Method, expected: tuple[float, ...]) -> None:
    adjusted = adjust([0.01, 0.04, 0.03], method)
    assert (adjusted.method, adjusted.family) == (method, 3)
    assert adjusted.values == pytest.approx(expected)


@given(st.lists(st.none() | st.floats(0, 1), max_size=12), st.sampled_from(METHODS))
def test_an_adjusted_p_is_never_smaller_and_a_missing_p_stays_missing(
    p_values: list[float | None], method: Method
) -> None:
    adjusted = adjust(p_values, method)
    assert adjusted.family == sum(p is not None for p in p_values)
    for p, value in zip(p_values, adjusted.values, strict=True):
        assert (value is None) == (p is None)
        assert p is None or p <= value <= 1


def test_a_p_of_nan_does_not_count() -> None:
    assert adjust([0.02, float("nan"), None], "bonferroni").values == (0.02, None, None)


@pytest.mark.parametrize(("method", "theirs"), [*zip(METHODS, ("bonferroni", "holm", "fdr_bh", "fdr_by"), strict=True)])
def test_adjusted_p_values_match_statsmodels(method: Method, theirs: str) -> None:
    from statsmodels.stats.multitest import multipletests

    p_values = [0.2, 1e-9, 0.03, 0.03, 0.0, 1.0, 0.011, 0.6, 0.0099]
    assert adjust(p_values, method).values == pytest.approx(tuple(multipletests(p_values, method=theirs)[1]))


@pytest.mark.parametrize(("family", "expected"), [(0, 0.95), (1, 0.95), (10, 0.995)])
def test_simultaneous_intervals_need_a_higher_confidence(family: int, expected: float) -> None:
    assert simultaneous(0.95, family) == pytest.approx(expected)


@given(st.integers(1, 200), st.sampled_from([0.05, 0.01, 0.001]))
def test_with_the_fewest_units_a_signed_rank_test_can_just_reject(family: int, alpha: float) -> None:
    units = fewest_units(alpha, family)
    assert 0.5**units <= alpha / family < 0.5 ** (units - 1)
