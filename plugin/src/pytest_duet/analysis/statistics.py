"""The classical statistics of each comparison of a run, and of several runs combined.

No verdict depends on them: verdicts rest on the interval of ``comparison`` alone.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, get_args

from pytest_duet.analysis.comparison import compare_group, ratio_interval, recorded_test, with_adjusted
from pytest_duet.defaults import PRINTED
from pytest_duet.records.schema import Comparison, Interval, Record, TestResult
from pytest_duet.records.timings import rounds_ns
from pytest_duet.stats.corrections import Method, simultaneous
from pytest_duet.stats.equivalence import by_normality, smallest_detectable, tost_signed_rank, tost_t
from pytest_duet.stats.meta_analysis import combine_runs, standard_error
from pytest_duet.stats.ratio import cell_log_ratios, exponential
from pytest_duet.stats.rounds import per_round
from pytest_duet.stats.signed_rank import location

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
    found = _compared(run)
    comparisons = [comparison for _, comparison in found]
    for name in dict.fromkeys(test.name for each in comparisons for test in each.tests):
        comparisons = with_adjusted(comparisons, name, get_args(Method))
    groups = [group for group, _ in found]
    return [_analysis(*each, len(found), rounds=rounds) for each in zip(groups, comparisons, strict=True)]


def _compared(run: RunRecord) -> list[tuple[GroupRecord, Comparison]]:
    return [(group, each) for group in run.groups for each in compare_group(group) if each.ratio is not None]


def _analysis(group: GroupRecord, comparison: Comparison, family: int, *, rounds: bool) -> Analysis:
    members = {each.name: each for each in group.members}
    member, other = members[comparison.member], members[comparison.against or group.reference]
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
    mine, others = ([math.log(ns / each.calls_per_round) for ns in rounds_ns(each)] for each in (member, other))
    found, counts = per_round(mine, others), (len(mine), len(others))
    tests = [recorded_test(test) for test in found.tests]
    return Rounds(autocorrelation=found.autocorrelation, effective=found.effective, counts=counts, tests=tests)


def analyse_across(runs: Sequence[RunRecord]) -> list[AcrossRuns]:
    """Combine `runs`, all of one machine: every comparison that they share under the same conditions."""
    seen: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for group, comparison in chain.from_iterable(map(_compared, runs)):
        judged, ratio = comparison.judged, comparison.ratio
        if judged is None or ratio is None:
            continue
        conditions = f"{group.profile}, {group.mode}, {group.data_digest}"
        key = (group.case_id(comparison.member), comparison.against or group.reference, conditions)
        error = standard_error(math.log(judged.low), math.log(judged.high), judged.confidence)
        seen.setdefault(key, []).append((math.log(ratio), error))
    return [_across(case, against, pairs) for (case, against, _), pairs in seen.items()]


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
