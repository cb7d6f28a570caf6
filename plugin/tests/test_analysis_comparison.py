"""The comparison of each rival, from records alone."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_duet.analysis.comparison import compare_group, compare_run
from pytest_duet.records.schema import Comparison, TestResult

from .samples import cells, everything, group, member, reference, without_numbers

TestResult.__test__ = False  # pytest would collect it by its name


def only(comparisons: list[Comparison]) -> Comparison:
    assert len(comparisons) == 1
    return comparisons[0]


def signed_rank(comparison: Comparison) -> TestResult:
    return next(test for test in comparison.tests if test.name == "signed-rank")


def test_the_reference_and_context_members_get_no_comparison() -> None:
    groups = group(reference(), member("native"), member("sklearn.novalidate", role="context"))
    assert [comparison.member for comparison in compare_group(groups)] == ["native"]


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "faster"), (2.0, "slower"), (1.001, "equivalent")])
def test_a_clear_difference_gets_its_verdict(factor: float, expected: str) -> None:
    times = cells(1e6)
    scaled = [[[round(ns * factor) for ns in burst] for burst in cell] for cell in times]
    comparison = only(compare_group(group(reference(cells=times), member("native", cells=scaled))))
    assert (comparison.verdict, comparison.cells) == (expected, 10)
    assert comparison.ratio == pytest.approx(factor, rel=1e-4)
    assert comparison.interval.low <= comparison.ratio <= comparison.interval.high
    assert (comparison.interval.confidence, comparison.judged.confidence) == (0.95, 0.90)


def test_the_number_of_calls_in_a_round_is_taken_into_account() -> None:
    times = cells(1e6)
    comparison = only(compare_group(group(reference(cells=times), member("native", cells=times, calls_per_round=4))))
    assert comparison.ratio == pytest.approx(0.25)
    assert comparison.mean_ratio == pytest.approx(0.25)


@pytest.mark.parametrize(
    "status",
    ["failed", "timeout", "crashed", "killed", "protocol", "invalid", "unavailable", "skipped"],
)
def test_a_member_that_is_not_ok_is_not_comparable_and_has_no_number(status: str) -> None:
    comparison = only(compare_group(group(reference(), without_numbers("native", status, "because"))))
    assert (comparison.verdict, comparison.reason) == ("not comparable", f"{status}: because")
    assert (comparison.ratio, comparison.interval, comparison.mean_ratio, comparison.tests) == (None, None, None, [])


def test_an_interrupted_member_is_not_judged() -> None:
    assert compare_group(group(reference(), without_numbers("native", "interrupted", "because"))) == []


@pytest.mark.parametrize("status", ["failed", "unavailable"])
def test_without_a_valid_reference_no_member_is_comparable(status: str) -> None:
    broken = without_numbers("sklearn", status, "because", role="reference")
    comparisons = compare_group(group(broken, member("native"), member("linfa")))
    assert [(each.verdict, each.reason) for each in comparisons] == [
        ("not comparable", f"reference {status}: because")
    ] * 2


def test_the_reason_names_a_reference_that_was_not_selected() -> None:
    comparisons = compare_group(group(member("native"), member("linfa"), reference="sklearn"))
    assert {each.reason for each in comparisons} == {"reference sklearn did not take part"}


def test_rivals_of_a_reference_that_was_only_verified_have_no_ratio() -> None:
    comparison = only(compare_group(group(reference(cells=[]), member("native"))))
    assert (comparison.verdict, comparison.reason) == ("not comparable", "reference not timed")


def test_a_group_of_one_and_a_verified_one_are_not_compared() -> None:
    assert compare_group(group(reference())) == []
    assert compare_group(group(reference(), member("native"), verified_only=True)) == []
    assert compare_group(group()) == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"cells": [[[0, 5]]]}, "invalid: a round of 0 ns"),
        ({"cells": [[[-3, 5]]]}, "invalid: a round of -3 ns"),
        ({"cells": [[[5, 2**70]]]}, f"invalid: a round of {2**70} ns"),
        ({"cells": [[[]]]}, "invalid: a cell without rounds"),
        ({"cells": [[]]}, "invalid: a cell without rounds"),
        ({"calls_per_round": 0}, "invalid: 0 calls a round"),
        ({"cells": cells(1e6, count=9)}, "invalid: 9 cells against 10 of the reference"),
        ({"cells": cells(1e6, cycles=2)}, "invalid: its cycles are not those of the reference"),
    ],
)
def test_invalid_numbers_are_not_comparable(changes: dict[str, object], reason: str) -> None:
    comparison = only(compare_group(group(reference(), member("native", **changes))))
    assert (comparison.verdict, comparison.reason) == ("not comparable", reason)


def test_an_invalid_margin_is_not_comparable() -> None:
    comparison = only(compare_group(group(reference(), member("native"), margin=0.0)))
    assert comparison.reason == "the group's margin is 0.0; it must be above 0"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_cells_are_inconclusive_with_a_budget(count: int) -> None:
    few = group(reference(cells=cells(1e6, count=count)), member("native", cells=cells(3e6, count=count)))
    comparison = only(compare_group(few))
    assert comparison.verdict == "inconclusive"
    assert "group_seconds = " in comparison.reason
    assert (comparison.interval is None) == (count == 1)


def test_extreme_cells_still_give_a_record_that_can_be_saved() -> None:
    wild = [[[1]], [[2**62]], [[1]], [[2**62]]]
    comparison = only(compare_group(group(reference(cells=wild), member("native", cells=wild[::-1]))))
    assert comparison.verdict == "inconclusive"
    json.dumps(msgspec.to_builtins(comparison), allow_nan=False)


def test_constant_rounds_have_a_result_and_no_warning() -> None:
    same = [[[1000]]] * 9
    comparison = only(compare_group(group(reference(cells=same), member("native", cells=same))))
    assert (comparison.verdict, comparison.ratio) == ("equivalent", 1.0)
    assert {effect.note for effect in comparison.effects if effect.value is None} == {"nothing varies"}


def test_a_mean_that_disagrees_with_the_typical_ratio_is_flagged() -> None:
    typical = cells(1e6)
    skewed = [[[*burst, burst[0] * 60] for burst in cell] for cell in typical]
    comparison = only(compare_group(group(reference(cells=typical), member("native", cells=skewed))))
    assert comparison.flags == ["mean and typical disagree"]


def test_the_report_table_is_the_family_of_the_adjusted_p_values() -> None:
    first = group(reference(), member("native", 0.5e6), member("linfa", 1.0e6))
    second = group(reference(), member("native", 0.7e6), id="other")
    comparisons = compare_run([first, second])
    p_values = [signed_rank(each).p for each in comparisons]
    bh = [signed_rank(each).p_adjusted["benjamini-hochberg"] for each in comparisons]
    holm = [signed_rank(each).p_adjusted["holm"] for each in comparisons]
    assert p_values[0] == p_values[2] == 2 / 2**10
    assert (bh[0], holm[0]) == pytest.approx((1.5 * p_values[0], 3 * p_values[0]))
    assert all(p <= adjusted for p, adjusted in zip(p_values, bh, strict=True))


def test_the_same_records_give_the_same_bytes() -> None:
    groups = everything().groups
    assert msgspec.json.encode(compare_run(groups)) == msgspec.json.encode(compare_run(groups))


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(10)))
def test_the_order_of_cells_does_not_matter(order: list[int]) -> None:
    ours, theirs = cells(0.8e6), cells(1e6)
    plain = only(compare_group(group(reference(cells=theirs), member("native", cells=ours))))
    shuffled = only(
        compare_group(
            group(reference(cells=[theirs[i] for i in order]), member("native", cells=[ours[i] for i in order]))
        )
    )
    assert (plain.ratio, plain.interval, plain.verdict) == (shuffled.ratio, shuffled.interval, shuffled.verdict)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.2, 5.0), st.integers(4, 12))
def test_swapping_the_sides_gives_the_reciprocal(factor: float, count: int) -> None:
    ours, theirs = cells(1e6 * factor, count=count), cells(1e6, count=count)
    there = only(compare_group(group(reference(cells=theirs), member("native", cells=ours))))
    back = only(compare_group(group(reference(cells=ours), member("native", cells=theirs))))
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.interval.low * back.interval.high == pytest.approx(1)
    assert math.isclose(there.smallest_change, back.smallest_change, rel_tol=1e-9)
    swapped = {"faster": "slower", "slower": "faster"}
    assert swapped.get(there.verdict, there.verdict) == back.verdict


def test_importing_analysis_and_reports_loads_no_numerical_library() -> None:
    code = (
        "import sys, pytest_duet.analysis.comparison, pytest_duet.records.store, pytest_duet.report.formats.terminal, pytest_duet.report.formats.markdown;"
        "print([name for name in ('numpy', 'scipy', 'statsmodels', 'psutil') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
