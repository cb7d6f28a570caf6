"""The records of a session, as they are journalled and saved: raw rounds are kept, verdicts are derived from them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from pytest_duet.defaults import ALARM_ABOVE, MARGIN
from pytest_duet.ids import CaseId
from pytest_duet.protocol import Features
from pytest_duet.values import Int64, Number, Scalar
from pytest_duet.vocabulary import Language, Role, Side, Status, Verdict

# History of the schema:
# 1  first version
# 2  the member that a member is compared with, where that is not the reference
# 3  named parts of a call
# 4  margins of single members; the file ends with a checksum
SCHEMA: Final = 4
READABLE: Final = (1, 2, 3, 4)

Margin = Annotated[float, msgspec.Meta(gt=0)]
Calls = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of every record: immutable, and an unknown field is an error."""


class Machine(Record, frozen=True):
    """What matters for times about the machine; no host name, user or path."""

    fingerprint: str
    cpu: str
    logical_cpus: Int64
    memory_bytes: Int64
    kernel: str
    architecture: str


class Attestation(Record, frozen=True):
    """What really ran, as the worker reports it; `data` maps file names to SHA-256 digests."""

    framework: str
    versions: dict[str, str]
    compiler: str
    profile: str
    source_digest: str
    lock_digest: str
    features: Features
    blas: list[str]
    details: dict[str, str]
    params: dict[str, Scalar]
    threads: int
    device: str
    dtype: str
    data: dict[str, str]


class ParityRecord(Record, frozen=True):
    """One output compared with the reference's: `error` in the units of `check`; it passes if it is at most `tolerance`."""

    output: str
    check: str
    error: Number
    tolerance: float
    passed: bool
    note: str = ""


class Bound(Record, frozen=True):
    """A quality metric and the limits that the spec sets for it."""

    metric: str
    value: Number
    floor: float | None = None
    ceiling: float | None = None


class Reading(Record, frozen=True):
    """One telemetry observation: a value in `unit`, or None with the reason it is unavailable."""

    metric: str
    unit: str
    value: Number | None
    reason: str = ""


class MemberRecord(Record, frozen=True):
    """One member of a group: what it is, its status, and its raw rounds.

    `cells` is cells → cycles → rounds, each the total ns of `calls_per_round` calls; only where `status` is ``ok``. `log`
    is the end of a failed worker's stderr. `spans` are the ns that named parts of the calls took in all measured rounds
    together. `against` is the member that this one is compared with, empty for the reference.
    """

    name: str
    framework: str
    variant: str
    role: Role
    language: Language
    status: Status
    reason: str = ""
    log: str = ""
    reproducer: str = ""
    against: str = ""
    attestation: Attestation | None = None
    parity: list[ParityRecord] = []
    quality: list[Bound] = []
    iterations: Int64 | None = None
    converged: bool | None = None
    first_call_ns: Int64 | None = None
    calls_per_round: Calls = 1
    cells: list[list[list[Int64]]] = []
    work: dict[str, Int64] = {}
    spans: dict[str, Int64] = {}
    readings: list[Reading] = []


class GroupRecord(Record, frozen=True):
    """Cases that differ only in framework and variant, measured together.

    `id` is ``task/algorithm-phase-workload``. `margin` is the relative difference below which speed does not matter;
    `margins` holds the members with another one. `verified_only` means that outputs were checked and nothing was timed.
    """

    id: str
    task: str
    algorithm: str
    phase: str
    workload: str
    workload_size: str
    threads: int
    device: str
    dtype: str
    mode: str
    profile: str
    margin: Margin
    reference: str
    data_digest: str
    verified_only: bool
    elapsed_ns: Int64
    members: list[MemberRecord]
    flags: list[str] = []
    margins: dict[str, Margin] = {}

    def margin_of(self, member: str) -> float:
        """Return the margin of `member`."""
        return self.margins.get(member, self.margin)

    def case_id(self, member: str) -> str:
        """Return the id of `member`'s case, by which runs are compared."""
        return str(CaseId(self.id, member, self.threads, self.device))


class Interval(Record, frozen=True):
    """A confidence interval; `confidence` is between 0 and 1."""

    low: float
    high: float
    confidence: float

    def inverted(self) -> tuple[float, float] | None:
        """Return the bounds of the inverse, None where a bound is not positive."""
        return (1 / self.high, 1 / self.low) if self.low > 0 else None


class TestResult(Record, frozen=True):
    """One classical test over cells: `n` independent units, `p_adjusted` after the correction named by the family."""

    name: str
    statistic: Number | None
    p: Number | None
    n: int
    p_adjusted: dict[str, Number] = {}
    note: str = ""


class Effect(Record, frozen=True):
    """An effect size over cells with its interval; None where it is undefined."""

    name: str
    value: Number | None
    interval: Interval | None
    note: str = ""


class Comparison(Record, frozen=True):
    """One member compared with the reference, or with the member named by `against`; derived from rounds.

    `ratio` is the time of this member over the time of that one, `interval` its 95 % and `judged` its 90 % interval.
    `smallest_change` is the smallest relative change that this interval could have shown.
    """

    group: str
    member: str
    verdict: Verdict
    reason: str
    cells: int
    against: str = ""
    estimator: str = ""
    ratio: float | None = None
    interval: Interval | None = None
    judged: Interval | None = None
    mean_ratio: float | None = None
    mean_interval: Interval | None = None
    smallest_change: float | None = None
    margin: float = MARGIN
    alarm_above: float = ALARM_ABOVE
    flags: list[str] = []
    tests: list[TestResult] = []
    effects: list[Effect] = []


class Change(Record, frozen=True):
    """One case compared with the same case before; derived from rounds or summaries.

    `base` and `head` say whether the times before and now exist and are valid. `ratio` is time now over time before,
    `interval` its 95 % and `judged` its 90 % interval, from so many independent `units`. An `alarm` is a slowdown surely
    above `alarm_above`, `confirmed` unless it needs a second run; `bound` is the ratio above which a single run alarms.
    """

    case: str
    base: Side
    head: Side
    verdict: Verdict
    reason: str = ""
    base_ns: float | None = None
    head_ns: float | None = None
    units: int = 0
    unit: Literal["runs", "cells"] = "runs"
    ratio: float | None = None
    interval: Interval | None = None
    judged: Interval | None = None
    bound: float | None = None
    p: Number | None = None
    p_adjusted: Number | None = None
    family: int = 0
    alarm: bool = False
    confirmed: bool = True
    smallest_change: float | None = None
    margin: float = MARGIN
    alarm_above: float = ALARM_ABOVE


class JournalHeader(Record, frozen=True):
    """What the groups of a run have in common, the first line of a journal; `created` is UTC in ISO 8601."""

    schema: int
    created: str
    version: str
    machine: Machine
    profile: str
    mode: str


class RunHeader(JournalHeader, frozen=True):
    """The fields of a saved run before its groups; `complete` is False where the session was interrupted."""

    complete: bool


class RunRecord(RunHeader, frozen=True):
    """One session. `comparisons` is derived from `groups` when the session ends; a reader may derive it again."""

    groups: list[GroupRecord]
    comparisons: list[Comparison] = []
