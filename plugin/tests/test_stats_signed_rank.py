"""The signed-rank interval: it matches scipy's test, also for few units."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_duet.stats.signed_rank import (
    SMALL,
    critical,
    least_shift,
    location,
    signed_rank,
    student,
    tail,
    walsh_averages,
)

whole = st.integers(-1000, 1000).map(float)
samples = st.lists(whole, min_size=SMALL, max_size=25)
distinct = st.lists(whole, min_size=SMALL, max_size=25, unique=True)


@settings(max_examples=150, deadline=None)
@given(distinct, st.integers(-1100, 1100), st.sampled_from([0.90, 0.95, 0.99]))
def test_a_value_lies_in_the_interval_exactly_where_wilcoxon_does_not_reject_it(
    differences: list[float], near: int, confidence: float
) -> None:
    # A quarter off the half-integers is no Walsh average, so scipy sees neither ties nor zeros.
    value = near + 0.25
    estimate = location(differences, confidence)
    assume(estimate.low is not None)
    rejected = stats.wilcoxon([each - value for each in differences], method="exact").pvalue <= 1 - confidence
    assert (estimate.low <= value <= estimate.high) == (not rejected)


@settings(max_examples=100, deadline=None)
@given(samples, whole, st.sampled_from([0.90, 0.95]))
def test_our_own_test_agrees_with_the_interval_even_with_ties_and_at_its_ends(
    differences: list[float], value: float, confidence: float
) -> None:
    estimate = location(differences, confidence)
    for candidate in (value, estimate.low, estimate.high):
        inside = estimate.low <= candidate <= estimate.high
        assert inside == (signed_rank(differences, candidate).p > 1 - confidence + 1e-12)


@settings(max_examples=60, deadline=None)
@given(distinct, st.sampled_from(["two-sided", "greater", "less"]))
def test_the_p_value_matches_scipy(differences: list[float], alternative: str) -> None:
    shifted = [each + 0.25 for each in differences]
    expected = stats.wilcoxon(shifted, method="exact", alternative=alternative).pvalue
    assert signed_rank(shifted, 0.0, alternative).p == pytest.approx(expected, rel=1e-12)


@given(samples)
def test_the_estimate_does_not_depend_on_the_order_of_cells(differences: list[float]) -> None:
    assert location(sorted(differences), 0.95) == location(differences, 0.95)


@given(samples)
def test_swapping_the_sides_negates_the_estimate_and_its_interval(differences: list[float]) -> None:
    there, back = location(differences, 0.95), location([-each for each in differences], 0.95)
    assert (back.value, back.low, back.high) == (-there.value, -there.high, -there.low)


@given(samples, st.integers(-100, 100))
def test_a_shift_moves_the_interval_with_it(differences: list[float], shift: int) -> None:
    here, there = location(differences, 0.9), location([each + shift for each in differences], 0.9)
    assert (there.low, there.high) == (here.low + shift, here.high + shift)


@given(samples)
def test_a_wider_confidence_never_has_a_narrower_interval(differences: list[float]) -> None:
    narrow, wide = location(differences, 0.90), location(differences, 0.99)
    assert wide.low <= narrow.low <= narrow.high <= wide.high


def test_the_interval_matches_published_tables() -> None:
    # With ten units P(W+ <= 8) = 0.0244, so the ninth Walsh average from either end bounds 95.1 %.
    differences = [float(2**power) for power in range(10)]
    averages = walsh_averages(differences)
    estimate = location(differences, 0.95)
    assert critical(10, 0.025) == 8
    assert tail(10, 8) == pytest.approx(0.0244, abs=5e-5)
    assert (estimate.low, estimate.high) == (averages[8], averages[-9])


def test_the_typical_value_is_the_median_of_the_walsh_averages() -> None:
    assert statistics.median(walsh_averages([1.0, 2.0, 6.0])) == 2.75


def test_few_units_have_students_interval() -> None:
    differences = [0.1, 0.3, 0.2, 0.4]
    expected = stats.t.interval(0.95, 3, loc=0.25, scale=stats.sem(differences))
    estimate = location(differences, 0.95)
    assert estimate.name == "mean"
    assert (estimate.low, estimate.high) == pytest.approx(expected)


def test_one_unit_has_a_value_and_no_interval() -> None:
    estimate = student([0.5], 0.95)
    assert (estimate.value, estimate.low, estimate.note) == (0.5, None, "one unit has no interval")


def test_no_units_give_a_note_and_no_value() -> None:
    assert (location([], 0.95).value, location([], 0.95).note) == (None, "no differences")
    assert (signed_rank([]).p, signed_rank([]).note) == (None, "no differences")


def test_a_confidence_that_eight_units_cannot_reach_has_no_bounds() -> None:
    estimate = location([float(each) for each in range(8)], 0.999)
    assert (estimate.value, estimate.low, estimate.high) == (3.5, None, None)
    assert estimate.note == "8 units cannot reach a confidence of 0.999"


def test_equal_units_have_an_interval_without_width() -> None:
    estimate = location([0.2] * 9, 0.95)
    assert (estimate.value, estimate.low, estimate.high) == (0.2, 0.2, 0.2)


def test_differences_that_are_all_zero_never_reject() -> None:
    assert signed_rank([0.0] * 12).p == 1.0


def test_eight_units_on_one_side_can_reach_a_128th() -> None:
    assert signed_rank([float(each) for each in range(1, 9)]).p == 2 / 2**8
    assert math.isclose(signed_rank([float(each) for each in range(1, 9)], 0.0, "greater").p, 2**-8)


@pytest.mark.parametrize(("alpha", "n"), [(0.01, 8), (0.01, 20), (0.01 / 30, 16), (0.01 / 30, 30)])
def test_the_least_shift_is_detected_about_nine_times_in_ten(alpha: float, n: int) -> None:
    random = np.random.default_rng(0)
    seen = statistics.mean(least_shift(list(random.standard_normal(n)), alpha) or math.nan for _ in range(200))
    found = [signed_rank(list(random.standard_normal(n) + seen), 0.0, "greater").p or 0.0 for _ in range(400)]
    assert 0.80 < statistics.mean(p <= alpha for p in found) < 0.95


@given(st.lists(whole, min_size=7, max_size=30), st.integers(-100, 100))
def test_the_least_shift_depends_on_the_spread_alone(differences: list[float], shift: int) -> None:
    moved = [each + shift for each in differences]
    assert least_shift(differences, 0.01) == pytest.approx(least_shift(moved, 0.01), abs=1e-9)


def test_too_few_units_have_no_least_shift() -> None:
    assert least_shift([0.0] * 6, 0.01) is None
    assert least_shift([0.0] * 11, 0.01 / 30) is None
    assert least_shift([0.0] * 12, 0.01 / 30) == 0.0
