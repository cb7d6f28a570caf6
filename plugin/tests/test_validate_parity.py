"""Outputs are compared with the reference's, and a failure is described in one line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_duet.errors import SpecError
from pytest_duet.records.schema import ParityRecord
from pytest_duet.spec.schema import ParityRule
from pytest_duet.validate import parity
from pytest_duet.validate.parity import CHECKS, absolute, close, compare_outputs, describe, exact, rules_for, support
from pytest_duet.values import NonFinite

NAN, INF = math.nan, math.inf

FINITE = hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4), elements=st.floats(-1e6, 1e6))
ANY = hnp.arrays(np.float64, hnp.array_shapes(min_dims=0, max_dims=2, max_side=4), elements=st.floats(allow_nan=False))


def _rule(output: str = "*", check: str = "close", tolerance: float = 0.0) -> ParityRule:
    return ParityRule(output=output, check=check, tolerance=tolerance)


def _compare(reference: dict, other: dict, *rules: ParityRule, **more: Any) -> list[ParityRecord]:
    return compare_outputs(reference, other, rules or [_rule()], **{"dtype": "f64", **more})


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "reference", "other", "expected"),
    [
        (close, [1.0, -4.0], [1.0, -3.0], 0.25),
        (close, [0.0, 0.0], [0.0, 0.5], 0.5),
        (close, [INF, 2.0], [INF, 3.0], 0.5),
        (close, [INF], [INF], 0.0),
        (close, [INF], [-INF], INF),
        (close, [1.0], [INF], INF),
        (close, [1.0], [NAN], INF),
        (close, [NAN], [1.0], INF),
        (close, [NAN], [NAN], INF),
        (close, [], [], 0.0),
        (absolute, [1.0, -4.0], [1.0, -3.0], 1.0),
        (absolute, [-INF, 1.0], [-INF, 1.5], 0.5),
        (absolute, [1.0], [NAN], INF),
        (absolute, [], [], 0.0),
        (exact, [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0], 0.25),
        (exact, [NAN, 1.0], [NAN, 1.0], 0.0),
        (exact, [NAN, 1.0], [1.0, NAN], 1.0),
        (exact, [], [], 0.0),
        (support, [0.0, 1.0, 2.0, 0.0], [0.0, 0.0, -2.0, 1e-300], 2.0),
        (support, [0.0, NAN], [-0.0, 1.0], 0.0),
        (support, [], [], 0.0),
    ],
)
def test_each_check_returns_its_error(check: Any, reference: list, other: list, expected: float) -> None:
    assert expected == check(np.array(reference), np.array(other))


def test_integers_and_booleans_can_be_compared() -> None:
    assert 0.5 == exact(np.array([1, 2]), np.array([1, 3]))
    assert 1.0 == absolute(np.array([True, False]), np.array([True, True]))


@pytest.mark.parametrize("check", [close, absolute])
def test_a_difference_too_large_for_a_float_is_infinite(check: Any) -> None:
    assert INF == check(np.array([1e308]), np.array([-1e308]))


@given(ANY)
def test_identical_arrays_have_no_error(array: np.ndarray) -> None:
    assert [0.0] * len(CHECKS) == [check(array, array.copy()) for check in CHECKS.values()]


@given(FINITE, st.sampled_from([-1024.0, -1.0, 0.5, 2.0, 4096.0]))
def test_close_does_not_depend_on_the_unit(array: np.ndarray, unit: float) -> None:
    # Below this a unit is not merely a change of exponent: bits are lost.
    assume(np.any(array) and np.all((array == 0) | (np.abs(array) > 1e-290)))
    other = np.roll(array, 1)
    assert close(array, other) == close(unit * array, unit * other)


@given(FINITE)
def test_checks_without_a_scale_are_symmetric(array: np.ndarray) -> None:
    other = np.roll(array, 1) + 1.0
    for check in (absolute, exact, support):
        assert check(array, other) == check(other, array)


@given(FINITE, st.data())
def test_one_wrong_element_is_found_wherever_it_is(array: np.ndarray, data: st.DataObject) -> None:
    other = array.copy()
    other.flat[data.draw(st.integers(0, array.size - 1))] += 1.0
    assert 1.0 == pytest.approx(absolute(array, other), rel=1e-9)
    assert 1 / array.size == pytest.approx(exact(array, other))


# --- rules ------------------------------------------------------------------------------------------------------------


def test_of_two_rules_for_one_output_and_check_the_later_wins() -> None:
    rules = [
        _rule("*", tolerance=1.0),
        _rule("coef", tolerance=2.0),
        _rule("coef", "support"),
        _rule("b*", tolerance=9),
    ]
    assert [(2.0, "close"), (0.0, "support")] == [(rule.tolerance, rule.check) for rule in rules_for("coef", rules)]
    assert [1.0] == [rule.tolerance for rule in rules_for("other", rules)]


def test_a_later_general_rule_beats_an_earlier_special_one() -> None:
    assert [1.0] == [rule.tolerance for rule in rules_for("coef", [_rule("coef", tolerance=2.0), _rule(tolerance=1.0)])]


@pytest.mark.parametrize(("tolerance", "passed"), [(0.25, True), (0.2499, False), (0.0, False)])
def test_an_error_passes_up_to_its_tolerance(tolerance: float, *, passed: bool) -> None:
    record = ParityRecord(output="x", check="close", error=0.25, tolerance=tolerance, passed=passed)
    found = _compare({"x": np.array([4.0])}, {"x": np.array([5.0])}, _rule(tolerance=tolerance))
    assert [record] == found


def test_nan_does_not_pass_with_any_tolerance() -> None:
    (record,) = _compare({"x": np.array([1.0])}, {"x": np.array([NAN])}, _rule(tolerance=1e300))
    assert (NonFinite("inf"), False) == (record.error, record.passed)


def test_a_check_that_returns_nan_fails() -> None:
    (record,) = _compare(
        {"x": np.array([1.0])},
        {"x": np.array([1.0])},
        _rule(check="mine", tolerance=1e300),
        checks={"mine": lambda *_: NAN},
    )
    assert (NonFinite("nan"), False) == (record.error, record.passed)


def test_an_unknown_check_is_a_spec_error() -> None:
    with pytest.raises(SpecError, match="parity check 'clsoe' of output 'x' is unknown; did you mean 'close'"):
        _compare({"x": np.zeros(1)}, {"x": np.zeros(1)}, _rule(check="clsoe"))


@pytest.mark.parametrize(
    ("reference", "other", "note"),
    [
        ({"x": np.zeros(2)}, {}, "output 'x' is missing"),
        ({}, {"x": np.zeros(2)}, "output 'x' is not one of the reference's"),
        ({"x": np.zeros(2)}, {"x": np.zeros((2, 1))}, "output 'x' has shape (2, 1), the reference's has (2,)"),
        ({"x": np.zeros(())}, {"x": np.zeros(1)}, "output 'x' has shape (1,), the reference's has ()"),
        (
            {"x": np.zeros(2)},
            {"x": np.zeros(2, dtype=np.float32)},
            "output 'x' has dtype float32, the job says float64",
        ),
        (
            {"x": np.zeros(2, dtype=np.float32)},
            {"x": np.zeros(2)},
            "the reference's output 'x' has dtype float32, the job says float64",
        ),
        (
            {"x": np.zeros(2, dtype=np.int64)},
            {"x": np.zeros(2)},
            "output 'x' has dtype float64, the reference's has int64",
        ),
    ],
)
def test_another_shape_dtype_or_set_of_outputs_fails(reference: dict, other: dict, note: str) -> None:
    (record,) = _compare(reference, other, _rule(tolerance=1e300))
    assert (False, note) == (record.passed, record.note)


def test_the_width_of_integers_does_not_matter() -> None:
    (record,) = _compare({"x": np.zeros(2, dtype=np.int64)}, {"x": np.zeros(2, dtype=np.int32)})
    assert record.passed


def test_the_outputs_of_an_f32_job_must_be_f32() -> None:
    single = {"x": np.zeros(2, dtype=np.float32)}
    assert [True] == [record.passed for record in _compare(single, single, dtype="f32")]


def test_a_rule_may_name_several_patterns_of_outputs() -> None:
    rule = ParityRule(output=["bias.*", "scale"], tolerance=0.5)
    outputs = ("bias.1", "scale", "weight")
    assert [[rule], [rule], []] == [rules_for(output, [rule]) for output in outputs]


def test_an_output_without_a_rule_fails() -> None:
    (record,) = _compare({"x": np.zeros(1)}, {"x": np.zeros(1)}, _rule("y"))
    assert (False, "no parity rule names output 'x'; add one to task.toml") == (record.passed, record.note)


def test_every_output_is_judged_once_for_each_check() -> None:
    outputs = {"b": np.zeros(1), "a": np.zeros(1)}
    found = _compare(outputs, outputs, _rule(), _rule("a", "support"))
    assert [("a", "close"), ("a", "support"), ("b", "close")] == [(each.output, each.check) for each in found]


# --- description ------------------------------------------------------------------------------------------------------


def _record(output: str, error: Any, tolerance: float = 1e-9, *, passed: bool = False, note: str = "") -> ParityRecord:
    return ParityRecord(output=output, check="close", error=error, tolerance=tolerance, passed=passed, note=note)


def test_the_description_is_empty_if_all_passed() -> None:
    assert "" == describe([_record("x", 0.0, passed=True)])
    assert "" == describe([])


def test_a_failure_is_described_with_its_error_and_tolerance() -> None:
    assert "output 'x': close error 0.123 is over 1e-09" == describe([_record("x", 0.1234)])
    assert "output 'x': close error inf is over 1e-09" == describe([_record("x", NonFinite("inf"))])


def test_of_several_failures_the_worst_is_described_and_the_others_are_counted() -> None:
    records = [_record("mild", 2e-9), _record("fine", 0.0, passed=True), _record("worst", 5.0), _record("mild2", 3e-9)]
    assert "output 'worst': close error 5 is over 1e-09 (and 2 more)" == describe(records)


# --- labellings -------------------------------------------------------------------------------------------------------

LABELS = st.lists(st.integers(-1, 4), min_size=2, max_size=40).map(np.array)


@given(LABELS, st.permutations(range(6)))
def test_a_renaming_of_labels_is_no_difference(mine, names) -> None:
    renamed = np.array(names)[mine]
    assert (0.0, 0.0) == (parity.labels(mine, renamed), pytest.approx(parity.ari(mine, renamed), abs=1e-12))


@given(st.integers(2, 40).flatmap(lambda n: st.tuples(*[st.lists(st.integers(0, 3), min_size=n, max_size=n)] * 2)))
def test_the_adjusted_rand_index_agrees_with_scikit_learn(two) -> None:
    from sklearn.metrics import adjusted_rand_score

    mine, other = map(np.array, two)
    assert adjusted_rand_score(mine, other) == pytest.approx(1 - parity.ari(mine, other), abs=1e-12)


def test_one_element_with_another_label_counts_by_its_share() -> None:
    mine, other = np.array([0, 0, 0, 1, 1]), np.array([7, 7, 3, 3, 3])
    assert 0.2 == pytest.approx(parity.labels(mine, other))
    assert 0 < parity.ari(mine, other) < 1


def test_another_number_of_labels_is_a_difference() -> None:
    assert 0.5 == parity.labels(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]))
