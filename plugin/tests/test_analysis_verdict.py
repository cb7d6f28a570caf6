"""From interval and margin to a word."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.analysis.verdict import Bounds, Evidence, judge, smallest_change

MARGIN, ALARM = 0.05, 0.01
DELTA = math.log1p(MARGIN)
ends = st.floats(-1, 1)


def bounds(low: float, high: float) -> Bounds:
    return math.log(low), math.log(high)


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (bounds(1.06, 1.2), "slower"),
        (bounds(0.7, 0.9), "faster"),
        (bounds(0.98, 1.04), "equivalent"),
        (bounds(0.97, 1.08), "inconclusive"),
        (bounds(1.01, 1.09), "inconclusive"),
        (bounds(0.9, 0.97), "inconclusive"),
    ],
)
def test_the_word_follows_from_where_the_interval_lies(judged: Bounds, expected: str) -> None:
    assert expected == judge(Evidence(8, judged, judged, 1.0), MARGIN, ALARM).verdict


@given(st.tuples(ends, ends).map(sorted))
def test_changing_sides_swaps_faster_and_slower(judged: list[float]) -> None:
    low, high = judged
    there = judge(Evidence(10, (low, high), (low, high), 1.0), MARGIN, ALARM)
    back = judge(Evidence(10, (-high, -low), (-high, -low), 1.0), MARGIN, ALARM)
    swapped = {"faster": "slower", "slower": "faster"}
    assert swapped.get(there.verdict, there.verdict) == back.verdict


@given(st.tuples(ends, ends).map(sorted), st.integers(0, 7))
def test_below_eight_cells_nothing_is_called_equivalent(judged: list[float], cells: int) -> None:
    interval = (judged[0], judged[1])
    assert judge(Evidence(cells, interval, interval, 1.0), MARGIN, ALARM).verdict != "equivalent"


def test_below_eight_cells_the_wider_interval_must_clear_the_margin() -> None:
    judged, strict = bounds(1.1, 1.2), bounds(1.04, 1.3)
    assert judge(Evidence(7, judged, strict, 1.0), MARGIN, ALARM).verdict == "inconclusive"
    assert judge(Evidence(7, judged, bounds(1.06, 1.3), 1.0), MARGIN, ALARM).verdict == "slower"


def test_below_four_cells_it_says_what_budget_it_needs() -> None:
    judgement = judge(Evidence(2, bounds(3, 4), bounds(2, 5), 3.0), MARGIN, ALARM)
    expected = "2 cells are too few to judge: group_seconds = 17 in the profile should give 8"
    assert (judgement.verdict, judgement.reason) == ("inconclusive", expected)


def test_one_cell_without_interval_is_inconclusive() -> None:
    judgement = judge(Evidence(1, None, None, 0.0), MARGIN, ALARM)
    expected = "1 cell is too few to judge: raise group_seconds until there are 8"
    assert (judgement.reason, judgement.smallest_change) == (expected, None)


def test_an_inconclusive_lean_names_the_direction_and_what_it_could_see() -> None:
    judgement = judge(Evidence(9, bounds(1.01, 1.09), bounds(1, 1.1), 1.0), MARGIN, ALARM)
    expected = "slower, but maybe by less than the margin of 5 %; the smallest change it could see is 9 %"
    assert expected == judgement.reason


def test_no_lean_says_what_is_not_ruled_out() -> None:
    judgement = judge(Evidence(9, bounds(0.9, 1.1), bounds(0.9, 1.1), 1.0), MARGIN, ALARM)
    assert judgement.reason.startswith("no difference seen, but one beyond the margin of 5 % is not ruled out")


def test_a_clear_verdict_needs_no_reason() -> None:
    assert judge(Evidence(8, bounds(2, 3), bounds(2, 3), 1.0), MARGIN, ALARM).reason == ""


def test_the_smallest_change_is_that_of_the_intervals_width() -> None:
    assert smallest_change((-0.02, 0.04), ALARM) == pytest.approx(1.01 * math.exp(0.06) - 1)


def test_a_hopeless_interval_stays_a_number() -> None:
    assert math.isfinite(smallest_change((-1e6, 1e6), ALARM))
