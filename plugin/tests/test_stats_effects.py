"""Effect sizes: they match statsmodels, and are undefined where nothing varies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_duet.stats.effects import cliffs_delta, hedges_g

sides = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12)


@given(sides, sides)
def test_swapping_the_sides_changes_only_the_sign(this: list[float], reference: list[float]) -> None:
    for effect in (hedges_g, cliffs_delta):
        there, back = effect(this, reference), effect(reference, this)
        if there.value is None:
            assert back.value is None
        else:
            assert (back.value, back.low, back.high) == pytest.approx((-there.value, -there.high, -there.low))


@given(sides, sides, st.integers(1, 100))
def test_a_common_scale_does_not_matter(this: list[float], reference: list[float], scale: int) -> None:
    for effect in (hedges_g, cliffs_delta):
        there = effect([each * scale for each in this], [each * scale for each in reference])
        assert there.value == pytest.approx(effect(this, reference).value)


@settings(deadline=None)
@given(sides, sides)
def test_cliffs_delta_matches_the_probability_of_statsmodels(this: list[float], reference: list[float]) -> None:
    delta = cliffs_delta(this, reference)
    more = sum(a > b for a in this for b in reference) + sum(a == b for a in this for b in reference) / 2
    assert delta.value == pytest.approx(2 * more / (len(this) * len(reference)) - 1)
    assert -1 <= delta.low <= delta.value <= delta.high <= 1


def test_hedges_g_and_cliffs_delta_match_statsmodels() -> None:
    from statsmodels.stats.meta_analysis import effectsize_smd
    from statsmodels.stats.nonparametric import rank_compare_2indep

    this, reference = [1.0, 2.0, 3.0, 4.0, 6.0], [2.5, 3.5, 5.5, 7.0, 8.0, 9.0]
    mean, deviation = lambda x: sum(x) / len(x), lambda x: (sum((v - mean(x)) ** 2 for v in x) / (len(x) - 1)) ** 0.5
    expected, _ = effectsize_smd(mean(this), deviation(this), 5, mean(reference), deviation(reference), 6)
    # statsmodels corrects by the approximation 1 - 3 / (4 n - 9), we by the exact factor.
    assert hedges_g(this, reference).value == pytest.approx(expected, rel=1e-3)
    assert cliffs_delta(this, reference).value == pytest.approx(2 * rank_compare_2indep(this, reference).prob1 - 1)


def test_complete_separation_still_has_an_interval() -> None:
    delta = cliffs_delta([4.0, 5.0, 6.0, 7.0], [1.0, 2.0, 3.0, 3.5])
    assert (delta.value, delta.high) == (1.0, 1.0)
    assert delta.low == pytest.approx((4 - 1.959964**2) / (4 + 1.959964**2))


@pytest.mark.parametrize(
    ("this", "reference", "note"),
    [([1.0], [2.0, 3.0], "needs two units a side"), ([1.0, 1.0], [2.0, 2.0], "nothing varies")],
)
def test_hedges_g_is_undefined_where_there_is_no_spread(this: list[float], reference: list[float], note: str) -> None:
    effect = hedges_g(this, reference)
    assert (effect.value, effect.low, effect.note) == (None, None, note)


def test_cliffs_delta_needs_one_unit_for_a_value_and_two_for_an_interval() -> None:
    assert (cliffs_delta([1.0], [2.0]).value, cliffs_delta([1.0], [2.0]).low) == (-1.0, None)
    assert (cliffs_delta([], [2.0]).value, cliffs_delta([], [2.0]).note) == (None, "a side is empty")


def test_equal_samples_have_no_effect() -> None:
    assert cliffs_delta([1.0] * 5, [1.0] * 5).value == 0.0
