"""The first stop rule that is good enough gives the time; if none is, the reading has the reason."""

from __future__ import annotations

import math

import pytest

from pytest_duet.measure.convergence import _gap, _gap_readings, _target_readings
from pytest_duet.spec.group import ConvergenceSpec, Limits
from pytest_duet.values import from_number


def _time(steps, best, gap=0.01):
    reading = _gap_readings(1.0, steps, best, gap)[-1]
    return reading.value, reading.reason


def test_the_loosest_stop_rule_within_the_gap_gives_the_time() -> None:
    assert (20.0, "") == _time([(1.5, 10.0), (1.005, 20.0), (1.0, 30.0)], best=1.0)


def test_if_no_stop_rule_comes_within_the_gap_the_reason_says_so() -> None:
    value, reason = _time([(1.5, 10.0), (1.1, 20.0)], best=1.0)
    assert (None, "not reached: no stop rule came within 0.01 of the best") == (value, reason)


def test_the_readings_of_a_failed_member_have_its_reason() -> None:
    assert (None, "crashed") == _time("crashed", best=1.0)


def test_an_objective_of_nan_never_reaches_the_gap() -> None:
    assert None is _time([(math.nan, 10.0)], best=1.0)[0]


@pytest.mark.parametrize(("value", "best", "expected"), [(1.1, 1.0, 0.1), (-0.9, -1.0, 0.1), (5.0, 5.0, 0.0)])
def test_the_gap_is_relative_to_the_best_whatever_its_sign(value: float, best: float, expected: float) -> None:
    assert expected == pytest.approx(_gap(value, best))


def test_the_objective_as_timed_has_a_reading_beside_its_gap() -> None:
    objective, gap, _ = _gap_readings(1.2, [(1.0, 5.0)], 1.0, 0.01)
    assert ("objective", 1.2) == (objective.metric, objective.value)
    assert 0.2 == pytest.approx(from_number(gap.value))


# --- a fixed quality --------------------------------------------------------------------------------------------------

TARGET = ConvergenceSpec("steps", (10.0, 20.0, 40.0), limits=Limits(floor={"accuracy": 0.9}))


def test_the_first_stop_rule_that_keeps_the_limits_gives_the_steps_and_the_time() -> None:
    steps, time = _target_readings([(False, 5.0), (True, 9.0)], TARGET)
    assert ("steps_to_accuracy of 0.9", 20.0) == (steps.metric, steps.value)
    assert ("time_to_accuracy of 0.9", "ns", 9.0) == (time.metric, time.unit, time.value)


def test_a_quality_that_is_not_reached_has_that_reason() -> None:
    for reading in _target_readings([(False, 5.0)] * 3, TARGET):
        assert (None, "not reached with steps of 40") == (reading.value, reading.reason)


def test_the_quality_readings_of_a_failed_member_have_its_reason() -> None:
    assert ["crashed", "crashed"] == [reading.reason for reading in _target_readings("crashed", TARGET)]


def test_limits_are_kept_by_values_that_reach_them_and_not_by_nan_or_missing_values() -> None:
    limits = Limits(floor={"accuracy": 0.9}, ceiling={"loss": 1.0})
    assert limits.kept_by({"accuracy": 0.9, "loss": 1.0})
    for values in (
        {"accuracy": 0.89, "loss": 1.0},
        {"accuracy": 0.9, "loss": 1.1},
        {"accuracy": math.nan, "loss": 0.0},
        {},
    ):
        assert not limits.kept_by(values)
    assert "accuracy of 0.9 and loss of at most 1" == str(limits)
