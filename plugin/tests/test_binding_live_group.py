"""A live group follows its members to its record; a group that was not measured keeps what its spec knows."""

from __future__ import annotations

import msgspec

from pytest_duet.binding.live_group import LiveGroup, unmeasured_group
from pytest_duet.errors import Crashed
from pytest_duet.spec.group import LaunchSpec, MemberSpec

from .fakes.groups import bound

MEMBERS = [
    MemberSpec("torch", "torch", "", "reference", "python", LaunchSpec("process")),
    MemberSpec("tch.fused", "tch", "fused", "rival", "rust", LaunchSpec("process"), against="torch"),
    MemberSpec("burn", "burn", "", "context", "rust", LaunchSpec("process"), unsound="no", reproducer="burn.rs::no"),
]
GROUP = bound(MEMBERS, margin=0.1, margins={"tch.fused": 0.2})
NAMES = [each.name for each in MEMBERS]


def _live(*selected: str) -> LiveGroup:
    live = LiveGroup(GROUP, selected or NAMES)
    live.files = GROUP.data_set()
    return live


def test_an_unmeasured_group_keeps_the_role_language_and_margin_of_every_member() -> None:
    record = unmeasured_group(GROUP.spec, NAMES, "timeout", "took too long", "direct")
    assert [("reference", "python"), ("rival", "rust"), ("context", "rust")] == [
        (each.role, each.language) for each in record.members
    ]
    assert [0.1, 0.2, 0.1] == [record.margin_of(name) for name in NAMES]
    assert ["", "torch", ""] == [each.against for each in record.members]
    assert ["", "", "burn.rs::no"] == [each.reproducer for each in record.members]
    assert {("timeout", "took too long")} == {(each.status, each.reason) for each in record.members}


def test_only_selected_members_are_in_an_unmeasured_group() -> None:
    record = unmeasured_group(GROUP.spec, ["tch.fused"], "timeout", "", "direct")
    assert ["tch.fused"] == [each.name for each in record.members]


def test_a_reference_that_was_not_selected_takes_part_but_is_not_recorded() -> None:
    live = _live("tch.fused")
    assert ["torch", "tch.fused"] == list(live.members)
    assert ["tch.fused"] == list(live.ready())
    assert ["tch.fused"] == [each.name for each in live.record(mode="direct", timed=True).members]


def test_an_error_is_the_status_of_its_own_member_alone() -> None:
    live = _live()
    with live.blaming(live.members["burn"]):
        raise Crashed("gone", "the log")
    record = live.record(mode="direct", timed=True)
    assert ["ok", "ok", "crashed"] == [each.status for each in record.members]
    assert ("gone", "the log") == (record.members[2].reason, record.members[2].log)


def test_without_its_reference_no_member_is_compared() -> None:
    live = _live()
    live.reference.fail(Crashed("gone"))
    live.require_reference()
    assert [("crashed", "gone")] + [("skipped", "not comparable: reference torch crashed")] * 2 == [
        (each.status, each.reason) for each in live.members.values()
    ]


def test_a_member_that_failed_keeps_its_evidence_and_loses_its_times() -> None:
    live = _live()
    member = live.members["burn"]
    member.first_call_ns, member.cells, member.iterations = 5, [[[1]]], 7
    before = member.record()
    member.fail(Crashed("gone"))
    after = member.record()
    assert (5, [[[1]]], 7) == (before.first_call_ns, before.cells, before.iterations)
    assert (None, [], 7) == (after.first_call_ns, after.cells, after.iterations)


def test_processes_left_behind_are_flagged() -> None:
    live = _live()
    live.members["torch"].left_behind, live.members["burn"].left_behind = 1, 2
    record = live.record(mode="direct", timed=False)
    assert [True, True] == [
        flag.startswith(start)
        for flag, start in zip(
            record.flags, ("torch left a process behind", "burn left 2 processes behind"), strict=True
        )
    ]
    assert record.verified_only
    assert record == msgspec.json.decode(msgspec.json.encode(record), type=type(record))
