"""One log-ratio a cell, and the ratio of means with its interval."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.stats.ratio import cell_log_ratios, cell_log_times, cell_means, exponential, ratio_of_means

rounds = st.integers(1, 10**9)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[list[list[int]]], list[list[list[int]]]]:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    sides = tuple(
        [[draw(st.lists(rounds, min_size=1, max_size=3)) for _ in range(cycles)] for cycles in shape] for _ in range(2)
    )
    return sides[0], sides[1]


def test_a_cell_is_the_median_over_cycles_of_the_fastest_rounds_ratio() -> None:
    this = [[[20, 10, 30], [40], [90, 80]]]
    reference = [[[5, 9], [10, 11], [10, 12]]]
    assert cell_log_ratios(this, 1, reference, 1) == pytest.approx([math.log(4)])


def test_rounds_of_several_calls_count_per_call() -> None:
    assert cell_log_ratios([[[600]]], 3, [[[100]]], 1) == pytest.approx([math.log(2)])
    assert cell_log_times([[[600]]], 3) == pytest.approx([math.log(200)])
    assert cell_means([[[600, 300], [900]]], 3) == [200.0]


@given(pairs(), st.integers(1, 50), st.integers(1, 50))
def test_changing_sides_gives_the_reciprocal(
    sides: tuple[list[list[list[int]]], list[list[list[int]]]], calls: int, others: int
) -> None:
    there = cell_log_ratios(sides[0], calls, sides[1], others)
    back = cell_log_ratios(sides[1], others, sides[0], calls)
    assert back == pytest.approx([-each for each in there], abs=1e-12)


@given(pairs(), st.integers(2, 1000))
def test_the_unit_of_time_does_not_matter(
    sides: tuple[list[list[list[int]]], list[list[list[int]]]], scale: int
) -> None:
    scaled = [[[[ns * scale for ns in burst] for burst in cell] for cell in side] for side in sides]
    assert cell_log_ratios(scaled[0], 1, scaled[1], 1) == pytest.approx(cell_log_ratios(*_with_calls(sides)), abs=1e-9)


def _with_calls(
    sides: tuple[list[list[list[int]]], list[list[list[int]]]],
) -> tuple[list[list[list[int]]], int, list[list[list[int]]], int]:
    return sides[0], 1, sides[1], 1


def test_sides_of_different_shape_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        cell_log_ratios([[[1]]], 1, [[[1]], [[1]]], 1)


positive = st.floats(1.0, 100.0)


@given(st.lists(st.tuples(positive, positive), min_size=2, max_size=20))
def test_the_ratio_of_means_lies_in_its_interval_and_has_a_reciprocal(units: list[tuple[float, float]]) -> None:
    this, reference = zip(*units, strict=True)
    there, back = ratio_of_means(this, reference, 0.95), ratio_of_means(reference, this, 0.95)
    assert there.value * back.value == pytest.approx(1)
    if there.low is not None:
        assert there.low <= there.value * (1 + 1e-9)
        assert there.value <= there.high * (1 + 1e-9)
    if there.low is not None and back.low is not None and there.low > 1e-6 and back.low > 1e-6:
        assert (1 / back.high, 1 / back.low) == pytest.approx((there.low, there.high), rel=1e-5)


def test_fiellers_bounds_solve_his_equation() -> None:
    this, reference = [10.0, 12.0, 11.0, 13.0, 12.5], [5.0, 6.1, 5.2, 6.4, 6.2]
    estimate = ratio_of_means(this, reference, 0.95)
    for bound in (estimate.low, estimate.high):
        residuals = [a - bound * b for a, b in zip(this, reference, strict=True)]
        mean = sum(residuals) / 5
        deviation = math.sqrt(sum((each - mean) ** 2 for each in residuals) / 4)
        # the 97.5 % quantile of t with four degrees of freedom
        assert abs(mean) / (deviation / math.sqrt(5)) == pytest.approx(2.7764451051977987)


@pytest.mark.parametrize(
    ("this", "reference", "note"),
    [
        ([], [], "no cells"),
        ([1.0], [2.0], "one cell has no interval"),
        ([1.0, 2.0], [0.0, 0.0], "the reference's mean is zero"),
        ([1.0, 2.0, 3.0], [1.0, 100.0, 1.0], "the means are too uncertain to divide"),
    ],
)
def test_where_there_is_no_interval_the_note_says_why(this: list[float], reference: list[float], note: str) -> None:
    estimate = ratio_of_means(this, reference, 0.95)
    assert (estimate.low, estimate.note) == (None, note)


def test_equal_cells_have_an_interval_without_width() -> None:
    estimate = ratio_of_means([3.0] * 4, [2.0] * 4, 0.95)
    assert (estimate.value, estimate.low, estimate.high) == (1.5, 1.5, 1.5)


def test_the_exponential_of_any_number_is_a_positive_number() -> None:
    assert math.isfinite(exponential(1e6))
    assert exponential(-1e6) > 0
