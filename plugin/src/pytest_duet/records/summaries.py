"""One number a case from a saved run, whatever tool saved it: all that runs of different sessions can be compared by.

Not for reading files (``store``), and not for pairs: rounds of different sessions are none.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

from pytest_duet.records.schema import Margin, Record
from pytest_duet.records.timings import fault, typical_log_ns
from pytest_duet.vocabulary import Status

if TYPE_CHECKING:
    from pytest_duet.records.schema import GroupRecord, MemberRecord, RunRecord

OURS: Final = "pytest-duet"


class CaseSummary(Record, frozen=True):
    """What one run says of one case: `log_ns` is the logarithm of the typical time of a call, None where there is none.

    `conditions` is what must be the same for two figures to be comparable; `margin` is None where the tool knows none.
    """

    status: Status
    log_ns: float | None = None
    reason: str = ""
    conditions: str = ""
    margin: Margin | None = None


class RunSummary(Record, frozen=True):
    """The figures of one saved run; `digest` tells it from other runs, `machine` names the machine for people.

    `fingerprint` is empty where the tool says too little of the machine to tell it from others.
    """

    source: str
    digest: str
    created: str
    tool: str
    fingerprint: str
    machine: str
    cases: dict[str, CaseSummary]


def conditions_of(group: GroupRecord) -> str:
    """Return what must be the same for figures of `group` and of another to be comparable."""
    return f"profile {group.profile}, mode {group.mode}, data {group.data_digest[:12]}"


def summary_of_run(run: RunRecord, source: str, digest: str) -> RunSummary:
    """Return the figures of `run`, saved in a file called `source` that `digest` tells from others."""
    return RunSummary(
        source=source,
        digest=digest,
        created=run.created,
        tool=OURS,
        fingerprint=run.machine.fingerprint,
        machine=run.machine.cpu,
        cases={
            group.case_id(member.name): _case_summary(group, member)
            for group in run.groups
            if not group.verified_only
            for member in group.members
        },
    )


def _case_summary(group: GroupRecord, member: MemberRecord) -> CaseSummary:
    conditions = conditions_of(group)
    margin = group.margins.get(member.name, group.margin)
    if member.status != "ok":
        return CaseSummary(status=member.status, reason=member.reason, conditions=conditions, margin=margin)
    if found := fault(member):
        return CaseSummary(status="invalid", reason=found, conditions=conditions)
    log_ns = typical_log_ns(member)
    return CaseSummary(status="ok", log_ns=log_ns, conditions=conditions, margin=margin)


def summary_from_seconds(seconds: list[float], conditions: str) -> CaseSummary:
    """Return the figure of times a call took, as other tools keep them: the median, since there are no cells."""
    times_ns = [each * 1e9 for each in seconds]
    if not times_ns or not all(0 < each < math.inf for each in times_ns):
        return CaseSummary(status="invalid", reason="a time that makes no sense, or none", conditions=conditions)
    return CaseSummary(status="ok", log_ns=statistics.median(map(math.log, times_ns)), conditions=conditions)
