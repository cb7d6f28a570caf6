"""The content of a report before it is text."""

from __future__ import annotations

import msgspec
import pytest

from pytest_duet.records.schema import MemberRecord, ParityRecord
from pytest_duet.report.model import Row, build
from pytest_duet.values import NonFinite

from .samples import cells, everything, group, member, reference, run, without_numbers


def row(*members: MemberRecord, name: str, **changes: object) -> Row:
    report = build(run(group(*members, **changes)))
    return next(each for each in report.rows() if each.member.name == name)


def test_the_speed_up_is_the_inverse_of_the_ratio() -> None:
    found = row(reference(), member("native", 0.5e6), name="native")
    assert found.speed_up == pytest.approx(1 / found.comparison.ratio)
    low, high = found.speed_up_interval
    assert low <= found.speed_up <= high


def test_the_reference_comes_first() -> None:
    report = build(run(group(member("native"), reference(), reference="sklearn")))
    assert [each.member.name for each in report.rows()] == ["sklearn", "native"]


@pytest.mark.parametrize("status", ["failed", "crashed", "unavailable", "skipped", "timeout"])
def test_a_member_that_is_not_ok_shows_no_number_of_its_record(status: str) -> None:
    found = row(reference(), member("native", status=status, reason="because"), name="native")
    assert (found.shown, found.why_not, found.time_ns) == (False, f"{status}: because", None)


def test_no_member_shows_a_number_beside_a_failed_reference() -> None:
    broken = without_numbers("sklearn", "failed", "bad", role="reference")
    found = row(broken, member("novalidate", role="context"), name="novalidate")
    assert (found.shown, found.time_ns) == (False, None)
    assert found.why_not == "not comparable: reference failed"


def test_a_single_member_shows_its_time_and_no_verdict() -> None:
    found = row(member("native"), name="native", reference="sklearn")
    assert (found.shown, found.comparison) == (True, None)
    assert found.time_ns is not None


def test_rivals_without_a_reference_show_their_times() -> None:
    found = row(member("native"), member("linfa"), name="linfa", reference="sklearn")
    assert (found.shown, found.speed_up) == (True, None)


def test_a_group_that_was_only_verified_shows_no_time() -> None:
    assert row(reference(), name="sklearn", verified_only=True).time_ns is None


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([("a", 1e-12, 1e-10, True), ("b", 1e-9, 1e-8, True)], "b"),
        ([("a", 0.0, 0.0, True), ("b", 1e-9, 1e-8, True)], "b"),
        ([("a", 0.9, 1.0, True), ("b", 2.0, 1.0, False)], "b"),
        ([("a", NonFinite("nan"), 1.0, False), ("b", 2.0, 1.0, False)], "a"),
    ],
)
def test_the_parity_shown_is_the_one_closest_to_failing(
    records: list[tuple[str, float, float, bool]], expected: str
) -> None:
    parity = [
        ParityRecord(output=output, check="close", error=error, tolerance=tolerance, passed=passed)
        for output, error, tolerance, passed in records
    ]
    assert row(reference(), member("native", parity=parity), name="native").parity.output == expected


def test_outputs_of_one_kind_are_represented_by_the_worst() -> None:
    parity = [
        ParityRecord("gradient.fc.weight", "close", 1e-7, 1e-5, True),
        ParityRecord("gradient.fc.bias", "close", 3e-7, 1e-5, True),
        ParityRecord("loss", "exact", 0.0, 0.0, True),
    ]
    kinds = row(reference(), member("native", parity=parity), name="native").parity_by_kind
    assert {"gradient.* (close)": (parity[1], 2), "loss (exact)": (parity[2], 1)} == kinds


def test_a_repeated_reason_is_counted() -> None:
    report = build(everything())
    unbuilt = "unavailable: not built: cargo build --release --manifest-path rust_crates/Cargo.toml -p duet-tch"
    assert dict(report.reasons)[unbuilt] == 2
    assert sum(count for _, count in report.statuses) == len(list(report.rows()))


def test_comparisons_are_derived_where_a_run_has_none() -> None:
    bare = build(msgspec.structs.replace(everything(), comparisons=[]))
    assert bare.tables == build(everything()).tables


def test_groups_of_one_id_keep_their_own_comparisons() -> None:
    slow = group(reference(), member("native", cells=cells(4e6)), threads=2)
    report = build(run(group(reference(), member("native", cells=cells(0.5e6))), slow))
    verdicts = [each.comparison.verdict for each in report.rows() if each.comparison]
    assert verdicts == ["faster", "slower"]
