"""Summaries of saved runs: one number a case, whichever tool saved it.

Runs of different sessions are compared by these numbers alone: their rounds did not run side by side, as pairs do.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from pytest_duet.records.schema import Margin, Record
from pytest_duet.records.timings import fault, typical_log_ns
from pytest_duet.vocabulary import Status

if TYPE_CHECKING:
    from pytest_duet.records.schema import GroupRecord, MemberRecord, RunRecord


class CaseSummary(Record, frozen=True):
    """One case of one run: `log_ns` is the logarithm of the typical time of a call in ns, None where there is none.

    Two cases are comparable only if their `conditions` are equal. `margin` is None where the tool has no margins.
    """

    status: Status
    log_ns: float | None = None
    reason: str = ""
    conditions: str = ""
    margin: Margin | None = None


class RunSummary(Record, frozen=True):
    """One saved run: `machine` is for people, `fingerprint` identifies it, empty where the tool records too little."""

    source: str
    digest: str
    created: str
    tool: str
    fingerprint: str
    machine: str
    cases: dict[str, CaseSummary]


def conditions_of(group: GroupRecord) -> str:
    """Return what must be equal for cases of `group` and of another group to be comparable."""
    return f"profile {group.profile}, mode {group.mode}, data {group.data_digest[:12]}"


def summary_of_run(run: RunRecord, source: str, digest: str) -> RunSummary:
    """Return the summary of `run`, saved in a file called `source` and identified by `digest`."""
    timed = [group for group in run.groups if not group.verified_only]
    return RunSummary(
        source=source,
        digest=digest,
        created=run.created,
        tool="pytest-duet",
        fingerprint=run.machine.fingerprint,
        machine=run.machine.cpu,
        cases={group.case_id(each.name): _case_summary(group, each) for group in timed for each in group.members},
    )


def _case_summary(group: GroupRecord, member: MemberRecord) -> CaseSummary:
    conditions, margin = conditions_of(group), group.margin_of(member.name)
    if member.status != "ok":
        return CaseSummary(status=member.status, reason=member.reason, conditions=conditions, margin=margin)
    if found := fault(member):
        return CaseSummary(status="invalid", reason=found, conditions=conditions)
    return CaseSummary(status="ok", log_ns=typical_log_ns(member), conditions=conditions, margin=margin)


def summary_from_seconds(seconds: list[float], conditions: str) -> CaseSummary:
    """Return the summary of the times of a call that another tool kept: each time counts as one cell."""
    times_ns = [each * 1e9 for each in seconds]
    if not times_ns or not all(0 < each < math.inf for each in times_ns):
        reason = "no times, or one that is not positive and finite"
        return CaseSummary(status="invalid", reason=reason, conditions=conditions)
    return CaseSummary(status="ok", log_ns=statistics.median(map(math.log, times_ns)), conditions=conditions)
