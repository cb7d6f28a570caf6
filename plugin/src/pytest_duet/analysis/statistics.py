"""The classical statistics of each comparison of a run, and of several runs combined.

No verdict depends on them: verdicts rest on the interval of ``comparison`` alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, get_args

import msgspec

from pytest_duet.analysis.comparison import compare_run, ratio_interval, recorded_test
from pytest_duet.defaults import PRINTED
from pytest_duet.records.schema import Comparison, Interval, Record, TestResult
from pytest_duet.records.timings import rounds_ns
from pytest_duet.stats.corrections import Method, adjust, simultaneous
from pytest_duet.stats.equivalence import by_normality, smallest_detectable, tost_signed_rank, tost_t
from pytest_duet.stats.meta_analysis import combine_runs, standard_error
from pytest_duet.stats.ratio import cell_log_ratios, exponential
from pytest_duet.stats.rounds import PerRound, per_round
from pytest_duet.stats.signed_rank import location
from pytest_duet.values import from_number, to_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.records.schema import GroupRecord, MemberRecord, RunRecord


class Rounds(Record, frozen=True):
    """Descriptive statistics of single rounds, of this member and of the other."""

    autocorrelation: tuple[float | None, float | None]
    effective: tuple[float | None, float | None]
    counts: tuple[int, int]
    tests: list[TestResult]


class Analysis(Record, frozen=True):
    """One comparison in full, one of `family` whose p-values are adjusted together.

    The `simultaneous` intervals of the whole family hold at the same time; None where there are too few cells for that.
    `detectable` is the relative difference that a paired t test detects with probability 0.8.
    """

    case: str
    against: str
    family: int
    comparison: Comparison
    equivalence: list[TestResult]
    simultaneous: Interval | None = None
    simultaneous_note: str = ""
    detectable: float | None = None
    policy: TestResult | None = None
    rounds: Rounds | None = None


class AcrossRuns(Record, frozen=True):
    """One comparison over several runs: the mean ratio with its interval, and the prediction for one more run."""

    case: str
    against: str
    runs: int
    note: str = ""
    ratio: float | None = None
    interval: Interval | None = None
    following: Interval | None = None
    spread: float | None = None


def analyse(run: RunRecord, *, rounds: bool = False) -> list[Analysis]:
    """Return the statistics of every comparison of `run` that has cells; with `rounds`, those of single rounds too."""
    found = [
        (group, member, other, comparison)
        for group in run.groups
        for comparison in compare_run([group])
        if comparison.ratio is not None
        for member in [_member(group, comparison.member)]
        for other in [_member(group, comparison.against or group.reference)]
    ]
    adjusted = _adjusted([comparison for *_, comparison in found])
    return [
        _analysis(group, member, other, comparison, len(found), rounds=rounds)
        for (group, member, other, _), comparison in zip(found, adjusted, strict=True)
    ]


def _member(group: GroupRecord, name: str) -> MemberRecord:
    return next(member for member in group.members if member.name == name)


def _adjusted(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return `comparisons` with the p of every test adjusted by every method, over all comparisons of the run."""
    by_test: dict[str, list[float | None]] = {}
    for comparison in comparisons:
        for test in comparison.tests:
            by_test.setdefault(test.name, []).append(None if test.p is None else from_number(test.p))
    values = {
        (name, method): adjust(p_values, method).values
        for name, p_values in by_test.items()
        for method in get_args(Method)
    }
    return [
        msgspec.structs.replace(
            comparison,
            tests=[
                msgspec.structs.replace(
                    test,
                    p_adjusted={
                        method: to_number(value)
                        for method in get_args(Method)
                        if (value := values[test.name, method][at]) is not None
                    },
                )
                for test in comparison.tests
            ],
        )
        for at, comparison in enumerate(comparisons)
    ]


def _analysis(
    group: GroupRecord, member: MemberRecord, other: MemberRecord, comparison: Comparison, family: int, *, rounds: bool
) -> Analysis:
    differences = cell_log_ratios(member.cells, member.calls_per_round, other.cells, other.calls_per_round)
    delta = math.log1p(comparison.margin)
    wide = location(differences, simultaneous(PRINTED, family))
    least = smallest_detectable(differences).value
    return Analysis(
        case=group.case_id(member.name),
        against=other.name,
        family=family,
        comparison=comparison,
        simultaneous=ratio_interval(wide),
        simultaneous_note=wide.note,
        detectable=None if least is None else exponential(least) - 1,
        equivalence=[recorded_test(tost_t(differences, delta)), recorded_test(tost_signed_rank(differences, delta))],
        policy=recorded_test(by_normality(differences)),
        rounds=_rounds(member, other) if rounds else None,
    )


def _rounds(member: MemberRecord, other: MemberRecord) -> Rounds:
    sides = [[math.log(ns / each.calls_per_round) for ns in rounds_ns(each)] for each in (member, other)]
    found: PerRound = per_round(sides[0], sides[1])
    return Rounds(
        autocorrelation=found.autocorrelation,
        effective=found.effective,
        counts=(len(sides[0]), len(sides[1])),
        tests=[recorded_test(test) for test in found.tests],
    )


def analyse_across(runs: Sequence[RunRecord]) -> list[AcrossRuns]:
    """Combine `runs`, all of one machine: every comparison that they share under the same conditions."""
    seen: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for run in runs:
        for group in run.groups:
            for comparison in compare_run([group]):
                if comparison.judged is None:
                    continue
                case = group.case_id(comparison.member)
                conditions = f"{group.profile}, {group.mode}, {group.data_digest}"
                key = (case, comparison.against or group.reference, conditions)
                seen.setdefault(key, []).append(_estimate(comparison, comparison.judged))
    return [_across(case, against, pairs) for (case, against, _), pairs in seen.items()]


def _estimate(comparison: Comparison, judged: Interval) -> tuple[float, float]:
    assert comparison.ratio is not None
    error = standard_error(math.log(judged.low), math.log(judged.high), judged.confidence)
    return math.log(comparison.ratio), error


def _across(case: str, against: str, pairs: Sequence[tuple[float, float]]) -> AcrossRuns:
    found = combine_runs([ratio for ratio, _ in pairs], [error for _, error in pairs])
    value = found.mean.value
    return AcrossRuns(
        case=case,
        against=against,
        runs=found.runs,
        note=found.mean.note,
        ratio=None if value is None else exponential(value),
        interval=ratio_interval(found.mean),
        following=ratio_interval(found.following),
        spread=found.spread,
    )
