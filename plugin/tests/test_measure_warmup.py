"""A member warms up until its times are steady, for a limited time; a rival that is too slow for the budget is skipped."""

from __future__ import annotations

import itertools
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.errors import Crashed, MemberError
from pytest_duet.measure.warmup import LONGEST_CALL_NS, PATIENCE_NS, PILOT_ROUNDS, WarmUp, estimate_calls, warm_up
from pytest_duet.spec.group import LaunchSpec, MemberSpec
from pytest_duet.spec.schema import Profile

from .fakes.clients import FakeClient
from .fakes.groups import bound

if TYPE_CHECKING:
    from collections.abc import Callable

MS = 1_000_000
SECOND = 1_000_000_000
BUDGET = Profile(call_cap_seconds=1.0, call_cap_ratio=3.0)


class Scripted:
    """A worker whose n-th call (0-based) takes `call_ns(n)` nanoseconds."""

    def __init__(self, call_ns: Callable[[int], int]) -> None:
        self.call_ns = call_ns
        self.calls = 0
        self.spent = 0

    def run(self, rounds: int, calls: int) -> SimpleNamespace:
        elapsed = []
        for _ in range(rounds):
            elapsed.append(sum(self.call_ns(self.calls + each) for each in range(calls)))
            self.calls += calls
        self.spent += sum(elapsed)
        return SimpleNamespace(elapsed_ns=elapsed)


def _warm_up(client: Scripted, call_ns: float, most_calls: int | None = None) -> WarmUp:
    return warm_up(client, call_ns, most_calls)  # type: ignore[arg-type]


def test_a_member_that_is_steady_from_the_start_runs_only_the_pilot() -> None:
    client = Scripted(lambda _: MS)
    assert _warm_up(client, MS) == WarmUp(MS, calls=0)
    assert client.calls == PILOT_ROUNDS


def test_short_calls_run_in_rounds_of_a_millisecond() -> None:
    client = Scripted(lambda _: 1000)
    assert _warm_up(client, 1000) == WarmUp(1000, calls=0)
    assert client.calls == PILOT_ROUNDS * 1000


def test_a_member_that_gets_faster_is_warm_a_fifth_later() -> None:
    client = Scripted(lambda call: 10 * MS if call < 12 else MS)
    assert _warm_up(client, MS) == WarmUp(MS, calls=15)


def test_a_member_that_gets_slower_was_not_warming_up() -> None:
    client = Scripted(lambda call: MS if call < 12 else 2 * MS)
    assert _warm_up(client, MS) == WarmUp(2 * MS, calls=0)


def test_a_late_change_gets_a_longer_warm_up() -> None:
    client = Scripted(lambda call: 3 * MS if call < 29 else MS)
    found = _warm_up(client, MS)
    assert found.settled
    assert found.call_ns == MS
    assert 29 <= found.calls <= 40
    assert client.calls > PILOT_ROUNDS


def test_a_member_that_is_never_steady_is_reported_and_not_run_for_ever() -> None:
    client = Scripted(lambda call: round(50 * MS * 0.97**call) + 1000)
    found = _warm_up(client, 50 * MS)
    assert not found.settled
    assert client.spent <= 1.5 * PATIENCE_NS


def test_a_clock_that_stands_still_ends_the_warm_up() -> None:
    client = Scripted(lambda _: 0)
    assert _warm_up(client, MS).settled


def test_a_long_call_is_not_run_again() -> None:
    client = Scripted(lambda _: 200 * MS)
    assert _warm_up(client, 2 * LONGEST_CALL_NS) == WarmUp(2 * LONGEST_CALL_NS)
    assert client.calls == 0


def test_no_round_has_more_calls_than_the_member_allows() -> None:
    client = Scripted(lambda _: 1000)
    _warm_up(client, 1000, most_calls=1)
    assert client.calls == PILOT_ROUNDS


def test_without_ruptures_only_the_pilot_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ruptures", None)
    client = Scripted(lambda call: 10 * MS if call < 12 else MS)
    assert _warm_up(client, MS) == WarmUp(MS, calls=0)


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
