"""The policy of the gate: every combination of sides, and the precedence of exit statuses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.analysis.gate import (
    ALPHA,
    Decided,
    Exit,
    alarms,
    confirm,
    decide,
    exit_status,
    judge_family,
    of_pair,
    side,
)
from pytest_duet.records.schema import Change, Comparison
from pytest_duet.stats.signed_rank import least_shift
from pytest_duet.vocabulary import Decision, Side, Status, Verdict

if TYPE_CHECKING:
    from random import Random

SMALL, LARGE = 0.04, 0.20
SIDES = get_args(Side)
VERDICTS = get_args(Verdict)
SIGHTS = (SMALL, LARGE, None)
"""The smallest change that could have been seen: within the margin of 5 %, above it, and unknown."""


def change(**changes: object) -> Change:
    plain = {"case": "cnn/lenet-train-digits/tch", "base": "ok", "head": "ok", "verdict": "equivalent", "units": 12}
    return Change(**{**plain, "ratio": 1.0, "smallest_change": SMALL, **changes})


def expected(
    base: Side, head: Side, verdict: Verdict, *, alarm: bool, confirmed: bool, sight: float | None
) -> Decision:
    """Return what the policy is meant to be, said in another way than the code says it."""
    if head == "bad":
        return "invalid"
    if (base, head) in {("missing", "ok"), ("missing", "missing")}:
        return "passed"
    if (base, head) != ("ok", "ok"):
        return "cannot decide"
    if alarm:
        return "regression" if confirmed else "cannot decide"
    table = {
        ("faster", SMALL): "passed",
        ("faster", LARGE): "passed",
        ("faster", None): "passed",
        ("equivalent", SMALL): "passed",
        ("equivalent", LARGE): "passed",
        ("equivalent", None): "passed",
        ("inconclusive", SMALL): "passed",
    }
    return table.get((verdict, sight), "cannot decide")


@pytest.mark.parametrize(("base", "head"), list(itertools.product(SIDES, SIDES)))
def test_the_decision_on_every_combination(base: Side, head: Side) -> None:
    for verdict, alarm, confirmed, sight in itertools.product(VERDICTS, (False, True), (False, True), SIGHTS):
        found = decide(
            change(base=base, head=head, verdict=verdict, alarm=alarm, confirmed=confirmed, smallest_change=sight)
        )
        wanted = expected(base, head, verdict, alarm=alarm, confirmed=confirmed, sight=sight)
        assert wanted == found.decision, (verdict, alarm, sight)


def test_a_case_without_alarm_never_passes_where_no_alarm_was_possible() -> None:
    for base, head, sight in itertools.product(SIDES, SIDES, (LARGE, None)):
        found = decide(change(base=base, head=head, verdict="inconclusive", smallest_change=sight, reason="because"))
        assert found.decision != "passed" or base == "missing"
        assert found.why


@given(st.integers(2, 20), st.integers(1, 400), st.floats(0, 0.05), st.randoms(use_true_random=True))
def test_a_pair_that_could_not_have_alarmed_in_its_family_never_passes_as_inconclusive(
    cells: int, family: int, spread: float, random: Random
) -> None:
    """However narrow an interval is: with n cells no p is below 2^-n."""
    ratios = [0.056 + random.gauss(0, spread) for _ in range(cells)]
    beyond = least_shift(ratios, ALPHA / family)
    comparison = Comparison(
        group="g", member="head", verdict="inconclusive", reason="", cells=cells, ratio=1.06, smallest_change=0.001
    )
    found = of_pair("g/native", comparison, ("ok", "ok"), 0.5, None if beyond is None else beyond + 0.01)
    if 2**-cells * family > ALPHA:
        assert decide(found).decision == "cannot decide"


@pytest.mark.parametrize("status", get_args(Status))
def test_each_status_gives_one_of_three_sides(status: Status) -> None:
    wanted = {"ok": "ok", "unavailable": "missing", "skipped": "missing", "interrupted": "missing"}
    assert wanted.get(status, "bad") == side(status)


def test_a_case_that_does_not_exist_is_missing() -> None:
    assert side(None) == "missing"


@pytest.mark.parametrize(("pattern", "decision"), [("cnn/*", "passed"), ("*/candle", "cannot decide")])
def test_a_missing_case_passes_only_if_it_is_allowed_to_be_missing(pattern: str, decision: Decision) -> None:
    assert decision == decide(change(head="missing"), [pattern]).decision


# --- which status -------------------------------------------------------------------------------------------------------


def status(*decisions: Decision, **changes: bool) -> int:
    return int(exit_status([Decided(change(), decision, "") for decision in decisions], **changes))


@pytest.mark.parametrize(
    ("decisions", "changes", "wanted"),
    [
        ((), {}, 11),
        ((), {"advisory": True}, 0),
        (("passed",), {}, 0),
        (("passed",), {"unavailable": True}, 13),
        (("passed", "cannot decide"), {}, 11),
        (("cannot decide",), {"unavailable": True}, 11),
        (("cannot decide",), {"advisory": True}, 0),
        (("cannot decide",), {"advisory": True, "unavailable": True}, 13),
        (("cannot decide", "regression"), {}, 10),
        (("regression",), {"advisory": True}, 10),
        (("regression", "invalid"), {}, 12),
        (("invalid", "regression", "cannot decide"), {"storage_failed": True}, 14),
    ],
)
def test_exit_statuses_have_an_order_of_precedence(
    decisions: tuple[Decision, ...], changes: dict[str, bool], wanted: int
) -> None:
    assert wanted == status(*decisions, **changes)


def test_a_job_that_compared_nothing_does_not_pass() -> None:
    new = [decide(change(base="missing", units=0))]
    assert ["passed"] == [each.decision for each in new]
    assert Exit.CANNOT_DECIDE == exit_status(new)
    assert Exit.PASSED == exit_status([*new, decide(change())])


def test_without_a_gate_only_missing_frameworks_and_storage_failures_have_a_status() -> None:
    assert Exit.PASSED == exit_status(None)
    assert Exit.UNAVAILABLE == exit_status(None, unavailable=True)
    assert Exit.STORAGE_FAILED == exit_status(None, storage_failed=True)


@given(st.lists(st.sampled_from(get_args(Decision)), max_size=6), st.randoms())
def test_the_order_of_cases_does_not_matter(decisions: list[Decision], random: object) -> None:
    shuffled = list(decisions)
    random.shuffle(shuffled)
    assert status(*decisions) == status(*shuffled)


# --- alarms -------------------------------------------------------------------------------------------------------------


def test_all_cases_of_a_job_are_one_family() -> None:
    alone, _ = alarms([0.004])
    among, adjusted = alarms([0.004, 0.5, 0.9, None])
    assert (alone, among) == ([True], [False, False, False, False])
    assert (adjusted.family, adjusted.values[0]) == (3, pytest.approx(0.012))


def test_an_alarm_needs_the_excess_as_well_as_the_p() -> None:
    sure = [change(p=1e-6, ratio=1.008), change(p=1e-6, ratio=1.02)]
    assert [False, True] == [each.alarm for each in judge_family(sure)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_no_more_than_holm_alarms(p_values: list[float]) -> None:
    alarmed, _ = alarms(p_values)
    assert all(p < ALPHA for p, alarm in zip(p_values, alarmed, strict=True) if alarm)
    assert not any(alarmed) or min(p_values) * len(p_values) < ALPHA


def test_a_second_run_clears_or_confirms_an_alarm() -> None:
    first = change(alarm=True, ratio=1.3, confirmed=False, verdict="slower")
    cleared = confirm(first, change(alarm=False, ratio=1.01))
    stands = confirm(first, change(alarm=True, ratio=1.25, verdict="slower"))
    assert ["passed", "regression"] == [decide(each).decision for each in (cleared, stands)]


def test_a_second_run_makes_nothing_worse() -> None:
    quiet = change(alarm=False, ratio=1.01)
    assert confirm(quiet, change(alarm=True, ratio=1.5)) == quiet


def test_a_paired_comparison_becomes_a_change_of_cells() -> None:
    comparison = Comparison(
        group="g", member="head", verdict="slower", reason="", cells=12, ratio=1.08, smallest_change=SMALL
    )
    (found,) = judge_family([of_pair("g/native", comparison, ("ok", "ok"), 1e-5, LARGE)])
    assert found.smallest_change == LARGE
    assert (found.alarm, found.unit, found.units, found.family) == (True, "cells", 12, 1)
    assert decide(found).decision == "regression"
    (unpaired,) = judge_family(
        [of_pair("g/native", msgspec.structs.replace(comparison, ratio=None), ("ok", "failed"), None, None)]
    )
    assert decide(unpaired).decision == "invalid"
