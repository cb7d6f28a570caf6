"""A run as tables of rows: everything a report shows, still as numbers; ``formatting`` turns them into text."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from pytest_duet.analysis.comparison import compare_run
from pytest_duet.records.timings import typical_call_ns
from pytest_duet.values import from_number
from pytest_duet.vocabulary import STATUSES, Status, Verdict, with_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.records.schema import Bound, Comparison, GroupRecord, MemberRecord, ParityRecord, RunRecord


@dataclass(frozen=True, slots=True)
class Row:
    """One member of a group as it is shown; where `shown` is False, `why_not` takes the place of all its numbers."""

    group: GroupRecord
    member: MemberRecord
    comparison: Comparison | None
    shown: bool
    why_not: str
    time_ns: float | None

    @property
    def speed_up(self) -> float | None:
        """Time of the reference over time of this member."""
        ratio = self.comparison.ratio if self.comparison else None
        return 1 / ratio if ratio else None

    @property
    def speed_up_interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the speed-up."""
        interval = self.comparison.interval if self.comparison else None
        return interval.inverted() if interval else None

    @property
    def parity(self) -> ParityRecord | None:
        """The output whose error is the largest share of its tolerance."""
        return max(self.member.parity, key=_strain, default=None)

    @property
    def parity_by_kind(self) -> dict[str, tuple[ParityRecord, int]]:
        """The worst output of each kind and the number of outputs; a network's gradients are one kind, `gradient.*`."""
        kinds: defaultdict[tuple[str, str], list[ParityRecord]] = defaultdict(list)
        for record in self.member.parity:
            kinds[record.output.partition(".")[0], record.check].append(record)
        return {
            f"{f'{kind}.*' if len(same) > 1 else same[0].output} ({check})": (max(same, key=_strain), len(same))
            for (kind, check), same in kinds.items()
        }

    @property
    def quality(self) -> Bound | None:
        """The first quality metric of the spec."""
        return self.member.quality[0] if self.member.quality else None


@dataclass(frozen=True, slots=True)
class Table:
    """One group and its rows, the reference first."""

    group: GroupRecord
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run: its tables, and counts over all of them; `family` is the number of tested comparisons."""

    run: RunRecord
    tables: tuple[Table, ...]
    statuses: tuple[tuple[Status, int], ...]
    reasons: tuple[tuple[str, int], ...]
    verdicts: tuple[tuple[Verdict, int], ...]
    family: int

    def rows(self) -> Iterator[Row]:
        """Return every row of every table."""
        return (row for table in self.tables for row in table.rows)


def build(run: RunRecord) -> Report:
    """Return what a report shows of `run`; its comparisons are derived where it holds none."""
    waiting: dict[tuple[str, str], list[Comparison]] = defaultdict(list)
    for comparison in run.comparisons or compare_run(run.groups):
        waiting[comparison.group, comparison.member].append(comparison)
    tables = tuple(_table(group, waiting) for group in run.groups)
    rows = [row for table in tables for row in table.rows]
    statuses = Counter(row.member.status for row in rows)
    # A reason that ten members share is shown once.
    reasons = Counter((row.member.status, row.why_not) for row in rows if row.member.status != "ok")
    verdicts = Counter(row.comparison.verdict for row in rows if row.comparison)
    return Report(
        run=run,
        tables=tables,
        statuses=tuple((status, statuses[status]) for status in STATUSES if statuses[status]),
        reasons=tuple((why, n) for status in STATUSES for (of, why), n in reasons.items() if of == status),
        verdicts=tuple((verdict, verdicts[verdict]) for verdict in get_args(Verdict) if verdicts[verdict]),
        family=sum(1 for row in rows if row.comparison and row.comparison.tests),
    )


def _table(group: GroupRecord, waiting: dict[tuple[str, str], list[Comparison]]) -> Table:
    reference = next((member for member in group.members if member.name == group.reference), None)
    members = sorted(group.members, key=lambda member: member is not reference)
    # Groups of one id that differ in threads or device come in the same order as their comparisons.
    found = [(member, waiting[group.id, member.name]) for member in members]
    return Table(group, tuple(_row(group, member, of.pop(0) if of else None, reference) for member, of in found))


def _row(
    group: GroupRecord, member: MemberRecord, comparison: Comparison | None, reference: MemberRecord | None
) -> Row:
    why_not = ""
    if member.reproducer:
        # The spec declares it unsound: the reason is complete as it is.
        why_not = member.reason
    elif member.status != "ok":
        why_not = with_reason(member.status, member.reason)
    elif member is not reference and reference is not None and reference.status != "ok":
        why_not = f"not comparable: reference {reference.status}"
    elif comparison is not None and comparison.verdict == "not comparable" and reference is not None:
        why_not = f"not comparable: {comparison.reason}"
    time_ns = None if why_not or group.verified_only else typical_call_ns(member)
    return Row(group, member, comparison, not why_not, why_not, time_ns)


def _strain(parity: ParityRecord) -> tuple[bool, float]:
    """Return a key that orders parity records: failed above passed, then by the error's share of the tolerance."""
    error = from_number(parity.error)
    share = error / parity.tolerance if parity.tolerance > 0 else 0.0 if error == 0 else math.inf
    # NaN is worse than any error.
    return not parity.passed, math.inf if math.isnan(share) else share
