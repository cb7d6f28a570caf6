"""Compare the members of a group by their raw rounds: intervals, tests, effects and the verdict on each rival.

The same records give the same comparisons, bit for bit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.analysis.verdict import Bounds, Evidence, judge
from pytest_duet.defaults import ALARM_ABOVE, JUDGED, PRINTED, STRICT
from pytest_duet.records.schema import Comparison, Effect, Interval, TestResult
from pytest_duet.records.timings import NOT_TIMED, fault, rounds_ns
from pytest_duet.stats.classical_tests import classical_tests
from pytest_duet.stats.corrections import Method, adjust
from pytest_duet.stats.effects import cliffs_delta, hedges_g
from pytest_duet.stats.ratio import cell_log_ratios, cell_log_times, cell_means, exponential, ratio_of_means
from pytest_duet.stats.signed_rank import location
from pytest_duet.values import from_number, to_number
from pytest_duet.vocabulary import with_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_duet.records.schema import GroupRecord, MemberRecord
    from pytest_duet.stats.results import Estimate, Outcome

FAMILY_TEST: Final = "signed-rank"
CORRECTIONS: Final[tuple[Method, ...]] = ("benjamini-hochberg", "holm")
"""The corrections for the p-values of one report table; the first is the one that is shown."""


def compare_run(groups: Sequence[GroupRecord]) -> list[Comparison]:
    """Return the comparisons of every group, in the order of groups and members.

    The signed-rank p-values are adjusted over all of them: the report table is the family.
    """
    comparisons = [comparison for group in groups for comparison in compare_group(group)]
    return with_adjusted(comparisons, FAMILY_TEST, CORRECTIONS)


def with_adjusted(comparisons: Sequence[Comparison], name: str, methods: Sequence[Method]) -> list[Comparison]:
    """Return `comparisons` with the p of the test called `name` adjusted by each of `methods`: they are one family."""
    tested = [next((test for test in each.tests if test.name == name), None) for each in comparisons]
    p_values = [None if test is None or test.p is None else from_number(test.p) for test in tested]
    corrected = {method: adjust(p_values, method).values for method in methods}
    result = []
    for at, comparison in enumerate(comparisons):
        p = {method: to_number(value) for method in methods if (value := corrected[method][at]) is not None}
        tests = [
            msgspec.structs.replace(each, p_adjusted=p) if each.name == name else each for each in comparison.tests
        ]
        result.append(msgspec.structs.replace(comparison, tests=tests))
    return result


def compare_group(group: GroupRecord) -> list[Comparison]:
    """Compare each rival with the group's reference, or with the member that its spec names, in the order of members.

    There are no comparisons in a group that was only verified or has one member, and none of members that have the role
    ``context`` or were interrupted.
    """
    if group.verified_only or len(group.members) < 2:  # noqa: PLR2004 - it takes two to compare
        return []
    members = {member.name: member for member in group.members}
    return [
        _compare(group, member, members.get(member.against or group.reference))
        for member in group.members
        if member.name != group.reference and member.role == "rival" and member.status != "interrupted"
    ]


def _compare(group: GroupRecord, member: MemberRecord, reference: MemberRecord | None) -> Comparison:
    reason = _obstacle(group, member, reference)
    comparison = Comparison(
        group=group.id,
        member=member.name,
        verdict="not comparable",
        reason=reason,
        cells=0,
        against=member.against,
        margin=group.margin_of(member.name),
        alarm_above=ALARM_ABOVE,
    )
    return comparison if reason or reference is None else _judged(comparison, group, member, reference)


def _obstacle(group: GroupRecord, member: MemberRecord, reference: MemberRecord | None) -> str:
    """Return why `member` cannot be compared, empty where it can."""
    if member.status != "ok":
        return _status(member)
    if reference is None:
        return f"{member.against or f'reference {group.reference}'} did not take part"
    other = member.against or "reference"
    if reference.status != "ok":
        return f"{other} {_status(reference)}"
    margin = group.margin_of(member.name)
    if not (math.isfinite(margin) and margin > 0):
        return f"the group's margin is {margin}; it must be above 0"
    return _invalid_rounds(member) or _invalid_rounds(reference, f"{other} ") or _unpaired(member, reference)


def _status(member: MemberRecord) -> str:
    if member.reproducer:
        return member.reason.removeprefix("not comparable: ")
    return with_reason(member.status, member.reason)


def _invalid_rounds(member: MemberRecord, subject: str = "") -> str:
    found = fault(member)
    return found and f"{subject}{'' if found == NOT_TIMED else 'invalid: '}{found}"


def _unpaired(member: MemberRecord, reference: MemberRecord) -> str:
    mine, other = ([len(cell) for cell in each.cells] for each in (member, reference))
    if len(mine) != len(other):
        return f"invalid: {len(mine)} cells against {len(other)} of the reference"
    return "" if mine == other else "invalid: its cycles are not those of the reference"


def _judged(comparison: Comparison, group: GroupRecord, member: MemberRecord, reference: MemberRecord) -> Comparison:
    ours, theirs = (member.cells, member.calls_per_round), (reference.cells, reference.calls_per_round)
    ratios = cell_log_ratios(*ours, *theirs)
    printed, judged, strict = (location(ratios, confidence) for confidence in (PRINTED, JUDGED, STRICT))
    means = ratio_of_means(cell_means(*ours), cell_means(*theirs), PRINTED)
    seconds = sum(ns for each in group.members for ns in rounds_ns(each) if ns > 0) / 1e9
    margin = comparison.margin
    judgement = judge(Evidence(len(ratios), _bounds(judged), _bounds(strict), seconds), margin, ALARM_ABOVE)
    mine, other = cell_log_times(*ours), cell_log_times(*theirs)
    interval, mean_interval = ratio_interval(printed), _interval(means)
    return msgspec.structs.replace(
        comparison,
        verdict=judgement.verdict,
        reason=judgement.reason,
        cells=len(ratios),
        estimator=f"{printed.name} of log-ratios",
        ratio=exponential(printed.value) if printed.value is not None else None,
        interval=interval,
        judged=ratio_interval(judged),
        mean_ratio=means.value,
        mean_interval=mean_interval,
        smallest_change=judgement.smallest_change,
        flags=_flags(group, (member, reference), apart=_apart(interval, mean_interval, margin)),
        tests=[recorded_test(outcome) for outcome in classical_tests(mine, other, ratios)],
        effects=[_effect(estimate) for estimate in (hedges_g(mine, other), cliffs_delta(mine, other))],
    )


def _flags(group: GroupRecord, sides: Sequence[MemberRecord], *, apart: bool) -> list[str]:
    flags = ["mean and typical disagree"] if apart else []
    for side in sides:
        # The attested number: a library without threads of its own attests one.
        used = side.attestation.threads if side.attestation else group.threads
        if used < group.threads:
            flags.append(f"{side.name} uses {used} of {group.threads} threads")
    return flags


def _bounds(estimate: Estimate) -> Bounds | None:
    return None if estimate.low is None or estimate.high is None else (estimate.low, estimate.high)


def _interval(estimate: Estimate, scale: Callable[[float], float] = float) -> Interval | None:
    bounds = _bounds(estimate)
    return bounds and Interval(low=scale(bounds[0]), high=scale(bounds[1]), confidence=estimate.confidence)


def ratio_interval(estimate: Estimate) -> Interval | None:
    """Return the interval of the ratio from an `estimate` of its logarithm, None where that has none."""
    return _interval(estimate, exponential)


def _apart(one: Interval | None, other: Interval | None, margin: float) -> bool:
    """Return whether the gap between the intervals exceeds `margin`: a smaller one does not matter."""
    if one is None or other is None:
        return False
    return one.high * (1 + margin) < other.low or other.high * (1 + margin) < one.low


def recorded_test(outcome: Outcome) -> TestResult:
    """Return the record of a test."""
    return TestResult(
        name=outcome.name,
        statistic=None if outcome.statistic is None else to_number(outcome.statistic),
        p=None if outcome.p is None else to_number(outcome.p),
        n=outcome.n,
        note=outcome.note,
    )


def _effect(estimate: Estimate) -> Effect:
    value = None if estimate.value is None else to_number(estimate.value)
    return Effect(name=estimate.name, value=value, interval=_interval(estimate), note=estimate.note)
