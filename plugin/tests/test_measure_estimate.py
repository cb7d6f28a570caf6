"""Calls are estimated once, and a rival that is too slow for the budget is skipped."""

from __future__ import annotations

import itertools

import pytest

from pytest_duet.binding.group import LiveGroup
from pytest_duet.errors import Crashed, MemberError
from pytest_duet.measure.warmup import estimate_calls
from pytest_duet.spec.group import LaunchSpec, MemberSpec
from pytest_duet.spec.schema import Profile

from .fakes.clients import FakeClient
from .fakes.groups import bound

SECOND = 1_000_000_000
BUDGET = Profile(call_cap_seconds=1.0, call_cap_ratio=3.0)


def _live(**calls: int | MemberError) -> LiveGroup:
    """Return a group whose members take so many ns a call; the first is the reference."""
    roles = {name: "rival" if index else "reference" for index, name in enumerate(calls)}
    members = [MemberSpec(name, name, "", role, "rust", LaunchSpec("process")) for name, role in roles.items()]  # type: ignore[arg-type]
    live = LiveGroup(bound(members, budget=BUDGET), list(calls))
    for name, ns in calls.items():
        live.members[name].client = FakeClient(name, itertools.repeat(ns))  # type: ignore[assignment]
        live.members[name].first_call_ns = 2 * SECOND
    return live


def test_a_call_takes_what_the_pilot_rounds_took() -> None:
    live = _live(torch=SECOND, tch=SECOND // 2)
    estimate_calls(live)
    assert [SECOND, SECOND // 2] == [each.call_ns for each in live.members.values()]


def test_a_call_is_estimated_once() -> None:
    live = _live(torch=SECOND)
    live.reference.call_ns = 7.0
    estimate_calls(live)
    assert 7.0 == live.reference.call_ns


@pytest.mark.parametrize(("reference", "rival", "status"), [(1, 3, "ok"), (1, 4, "skipped"), (9, 20, "ok")])
def test_a_rival_slower_than_the_cap_is_skipped(reference: int, rival: int, status: str) -> None:
    live = _live(torch=reference * SECOND, tch=rival * SECOND)
    estimate_calls(live)
    assert ["ok", status] == [each.status for each in live.members.values()]


def test_the_reason_of_a_skipped_rival_ends_with_the_remedy() -> None:
    live = _live(torch=SECOND, tch=4 * SECOND)
    estimate_calls(live)
    expected = "too slow: 4 s a call, the cap of profile smoke is 1 s or 3 times the reference; "
    assert expected + "parity was checked, choose a larger profile to time it" == live.members["tch"].reason


def test_without_its_reference_no_member_is_timed() -> None:
    live = _live(torch=Crashed("gone"), tch=SECOND)
    estimate_calls(live)
    assert ["crashed", "skipped"] == [each.status for each in live.members.values()]


def test_a_short_call_is_warmed_up_until_its_times_are_steady() -> None:
    live = _live(torch=1_000_000)
    live.reference.first_call_ns = 1_000_000
    estimate_calls(live)
    assert (1_000_000, 0, True) == (live.reference.call_ns, live.reference.warm_after, live.reference.settled)
