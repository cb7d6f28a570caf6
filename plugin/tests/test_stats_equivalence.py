"""Equivalence and power: they match statsmodels and the intervals of verdicts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_duet.stats.equivalence import by_normality, smallest_detectable, tost_signed_rank, tost_t
from pytest_duet.stats.signed_rank import location

DIFFERENCES = [0.02, -0.01, 0.03, 0.0, 0.015, -0.02, 0.01, 0.005, -0.015]
samples = st.lists(st.integers(-100, 100).map(lambda value: value / 1000), min_size=8, max_size=14)


@pytest.mark.parametrize("delta", [0.01, 0.03, 0.05])
def test_the_two_one_sided_t_tests_match_statsmodels(delta: float) -> None:
    from statsmodels.stats.weightstats import ttost_paired

    expected = ttost_paired(np.array(DIFFERENCES), np.zeros(len(DIFFERENCES)), -delta, delta)[0]
    assert tost_t(DIFFERENCES, delta).p == pytest.approx(expected)


@given(samples, st.sampled_from([0.0205, 0.0505, 0.0805]))
def test_equivalence_by_ranks_rejects_exactly_where_the_90_percent_interval_lies_within(
    differences: list[float], delta: float
) -> None:
    interval = location(differences, 0.90)
    within = -delta < interval.low and interval.high < delta
    assert within == (tost_signed_rank(differences, delta).p <= 0.05)


@given(samples, st.floats(0.01, 0.2))
def test_swapping_the_sides_changes_nothing(differences: list[float], delta: float) -> None:
    turned = [-each for each in differences]
    for test in (tost_t, tost_signed_rank):
        assert test(differences, delta).p == pytest.approx(test(turned, delta).p)


@pytest.mark.parametrize(("n", "power"), [(8, 0.8), (12, 0.9), (30, 0.8)])
def test_the_smallest_detectable_effect_matches_statsmodels(n: int, power: float) -> None:
    from statsmodels.stats.power import TTestPower

    values = np.random.default_rng(n).normal(0, 0.02, n)
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=power) * np.std(values, ddof=1)
    assert smallest_detectable(list(values), power=power).value == pytest.approx(expected, rel=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 100))
def test_the_smallest_detectable_effect_scales_with_the_data(scale: float) -> None:
    scaled = smallest_detectable([each * scale for each in DIFFERENCES]).value
    assert scaled == pytest.approx(scale * smallest_detectable(DIFFERENCES).value)


def test_the_normality_policy_shows_both_p_values_and_takes_the_larger() -> None:
    found = by_normality(DIFFERENCES)
    t, ranks = stats.ttest_1samp(DIFFERENCES, 0).pvalue, stats.wilcoxon(DIFFERENCES, method="exact").pvalue
    assert found.p >= max(t, ranks) - 1e-9
    for name in ("Shapiro-Wilk p = ", "paired t p = ", "signed-rank p = ", "the larger decides"):
        assert name in found.note


@given(samples)
def test_the_normality_policy_never_makes_a_p_smaller(differences: list[float]) -> None:
    found = by_normality(differences)
    if found.p is not None:
        assert found.p >= stats.ttest_1samp(differences, 0).pvalue - 1e-12


@pytest.mark.parametrize("differences", [[], [0.1], [0.1] * 9])
def test_an_undefined_result_has_a_note_and_no_number(differences: list[float]) -> None:
    found = [tost_t(differences, 0.05), by_normality(differences), smallest_detectable(differences)]
    assert [(getattr(each, "p", getattr(each, "value", None)), bool(each.note)) for each in found] == [(None, True)] * 3
    assert tost_signed_rank([], 0.05).p is None
