"""The shapes of what a session saw, as they are journalled and saved; raw rounds are kept, verdicts are derived from them.

Not for reading or writing files (``store``, ``journal``) and not for judging (``comparison``).
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from pytest_duet.defaults import ALARM_ABOVE, MARGIN
from pytest_duet.ids import CaseId
from pytest_duet.protocol import Features, Number, Scalar, Whole
from pytest_duet.vocabulary import Language, Role, Side, Status, Verdict

# History of the schema:
# 1  first version
# 2  what a member is set against, where that is not the reference
# 3  named parts of a call
# 4  margins of single members; the file ends with a digest of itself
SCHEMA: Final = 4
READABLE: Final = (1, 2, 3, 4)


Margin = Annotated[float, msgspec.Meta(gt=0)]
Calls = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of every saved shape: immutable and strict."""


class Machine(Record, frozen=True):
    """The machine as far as it matters for times; holds no host name, user or path."""

    fingerprint: str
    cpu: str
    logical_cpus: Whole
    memory_bytes: Whole
    kernel: str
    architecture: str


class Attestation(Record, frozen=True):
    """What really ran, as the worker itself says; `data` maps file names to SHA-256 digests."""

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
    """One output held against the reference's: `error` in the units of `check`, passed when it is at most `tolerance`."""

    output: str
    check: str
    error: Number
    tolerance: float
    passed: bool
    note: str = ""


class Bound(Record, frozen=True):
    """A quality metric and the limits the spec sets for it."""

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
    """One member of a group: what it was, how it fared, and its raw rounds.

    `cells` is cells → cycles → rounds, each round the total nanoseconds of `calls_per_round` calls. Rounds are present
    only where `status` is ``ok``; `log` is the end of a failed worker's stderr. `spans` are the ns that
    named parts of the calls took in all measured rounds together. `against` is the member it is set
    against, empty for the reference.
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
    iterations: Whole | None = None
    converged: bool | None = None
    first_call_ns: Whole | None = None
    calls_per_round: Calls = 1
    cells: list[list[list[Whole]]] = []
    work: dict[str, Whole] = {}
    spans: dict[str, Whole] = {}
    readings: list[Reading] = []


class GroupRecord(Record, frozen=True):
    """Cases that differ only in framework and variant, measured together.

    `id` is ``task/algorithm-phase-workload``; `margin` is the relative difference below which speed does not matter,
    `margins` that of members for which it is another one; `verified_only` says that parity and quality were checked and
    nothing was timed.
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
    elapsed_ns: Whole
    members: list[MemberRecord]
    flags: list[str] = []
    margins: dict[str, Margin] = {}

    def case_id(self, member: str) -> str:
        """Return the id of `member`'s case, by which runs are compared."""
        return str(CaseId(self.id, member, self.threads, self.device))


class Interval(Record, frozen=True):
    """A confidence interval; `confidence` is between 0 and 1."""

    low: float
    high: float
    confidence: float


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
    """One member judged against the reference, or against the member named by `against`; derived, never measured.

    `ratio` is time of this member over time of that one, `interval` its 95 % and `judged` its 90 % interval.
    `smallest_change` is the relative change that could have been seen.
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
    """One case set against the same case before; derived, never measured.

    `base` and `head` say whether the time before and the time now are there and sound. `ratio` is time now over time
    before, `interval` its 95 % and `judged` its 90 % interval, over `units` independent `unit`. It raises an `alarm` where
    it is surely above `alarm_above`; `bound` is the ratio from which one run alone does. `confirmed` is False while an
    alarm waits for a second run.
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


class RunRecord(Record, frozen=True):
    """One session: `created` is UTC in ISO 8601; `complete` is False where it was interrupted.

    `comparisons` is derived from `groups` when the session ends; any reader may derive it anew.
    """

    schema: int
    created: str
    version: str
    machine: Machine
    profile: str
    mode: str
    complete: bool
    groups: list[GroupRecord]
    comparisons: list[Comparison] = []
