"""Which rung of a ladder gives the time to a gap, and what is said where none does."""

from __future__ import annotations

import math

import pytest

from pytest_duet.measure.convergence import _gap, _readings
from pytest_duet.protocol import from_number


def _time(steps, best, gap=0.01):
    reading = _readings(1.0, steps, best, gap)[-1]
    return reading.value, reading.reason


def test_the_loosest_rung_within_the_gap_gives_the_time() -> None:
    assert (20.0, "") == _time([(1.5, 10.0), (1.005, 20.0), (1.0, 30.0)], best=1.0)


def test_where_no_rung_comes_within_the_gap_it_is_said() -> None:
    value, reason = _time([(1.5, 10.0), (1.1, 20.0)], best=1.0)
    assert (None, "not reached: no stop rule of the ladder came within 0.01") == (value, reason)


def test_a_member_that_failed_on_the_ladder_says_why() -> None:
    assert (None, "crashed") == _time("crashed", best=1.0)


def test_an_objective_that_is_no_number_never_counts_as_reached() -> None:
    assert None is _time([(math.nan, 10.0)], best=1.0)[0]


@pytest.mark.parametrize(("value", "best", "expected"), [(1.1, 1.0, 0.1), (-0.9, -1.0, 0.1), (5.0, 5.0, 0.0)])
def test_the_gap_is_relative_to_the_best_whatever_its_sign(value: float, best: float, expected: float) -> None:
    assert expected == pytest.approx(_gap(value, best))


def test_the_objective_of_the_timed_setting_stands_beside_its_gap() -> None:
    objective, gap, _ = _readings(1.2, [(1.0, 5.0)], 1.0, 0.01)
    assert ("objective", 1.2) == (objective.metric, objective.value)
    assert 0.2 == pytest.approx(from_number(gap.value))
