"""Base against head: the cases of a suite, the group in which base and head of one case are compared, and its change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.analysis import gate
from pytest_duet.analysis.comparison import compare_group
from pytest_duet.binding.bind import INLINE_CHECK, bind
from pytest_duet.binding.member import make_job
from pytest_duet.defaults import ALPHA, PROFILE
from pytest_duet.errors import reason_of
from pytest_duet.ids import CaseId
from pytest_duet.records.schema import Change
from pytest_duet.spec.group import DataSpec, GroupSpec, MemberSpec
from pytest_duet.spec.resolve import group_spec
from pytest_duet.spec.schema import ParityRule
from pytest_duet.spec.suite import applying, group_keys, member_names
from pytest_duet.stats.ratio import cell_log_ratios, exponential
from pytest_duet.stats.signed_rank import least_shift, signed_rank
from pytest_duet.validate.parity import CLOSE_ENOUGH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.ids import GroupKey
    from pytest_duet.records.schema import GroupRecord
    from pytest_duet.spec.group import LaunchSpec
    from pytest_duet.spec.schema import Profile
    from pytest_duet.spec.suite import Suite
    from pytest_duet.values import Scalar
    from pytest_duet.vocabulary import Language, Role, Side

BASE: Final = "base"
HEAD: Final = "head"
_ROLES: Final[Mapping[str, Role]] = {BASE: "reference", HEAD: "rival"}
NO_CAP_SECONDS: Final = 1e9
"""No call is too slow to be a regression."""


@dataclass(frozen=True)
class Case:
    """One implementation on one workload: a group of the suite and one of its members."""

    key: GroupKey
    member: str

    @property
    def id(self) -> str:
        """The case's id: ``regression/lasso-train-diabetes/native``."""
        return str(CaseId(str(self.key), self.member))


def cases(suite: Suite, profile: str) -> list[Case]:
    """Return every case of `suite` in `profile` that is not declared unsound, in the order of the suite."""
    return [
        Case(key, name)
        for task_name, task in suite.tasks.items()
        for key in group_keys(task_name, task)
        for name in member_names(task, key.algorithm, key.phase, key.workload, profile)
        if not applying(task.unsound, key, name, profile)
    ]


def pair_of(
    case: Case,
    suites: tuple[Suite, Suite],
    launches: Mapping[str, tuple[LaunchSpec, LaunchSpec]],
    profile: str,
    cache: Path,
) -> tuple[BoundGroup | None, str]:
    """Return the group in which base and head of `case` are compared, or None and the reason why they cannot be.

    `suites` and, by framework, `launches` are those of base and head. Both sides must get the same job on the same bytes;
    a model that a phase starts from is trained once, by head.

    Raises:
        DataError: the data cannot be obtained.
        SpecError: head's spec cannot be used.
    """
    head = bind(group_spec(suites[1], case.key, profile), suites[1].benches, cache)
    files = head.data_set()
    try:
        base = bind(group_spec(suites[0], case.key, profile), suites[0].benches, cache)
        digest = base.data_set().digest
    except Exception as error:  # noqa: BLE001 - a fault of base must not fail head
        return None, f"base: {reason_of(error)}"
    if digest != files.digest:
        return None, "its data recipe differs from base's; compare with a newer base once it is merged"
    if make_job(base, case.member, files) != make_job(head, case.member, files):
        return None, "its parameters differ from base's; compare with a newer base once they are merged"
    member = head.spec.member(case.member)
    # Head is checked against base's outputs; the suite's own runs check their quality.
    sides = [
        msgspec.structs.replace(member, name=name, role=role, launch=launch, quality_params=None, against="")
        for (name, role), launch in zip(_ROLES.items(), launches[member.framework], strict=True)
    ]
    spec = msgspec.structs.replace(head.spec, margin=head.spec.margins.get(case.member, head.spec.margin), margins={})
    return bind(as_pair(spec, case.id, sides), suites[1].benches, cache), ""


def launched_pair(
    key: GroupKey,
    launches: Sequence[LaunchSpec],
    language: Language,
    params: Mapping[str, Scalar],
    digest: str,
    *,
    case: str,
    budget: Profile,
    profile: str = PROFILE,
) -> GroupSpec:
    """Return the spec that compares base and head of job `key`, launched in two ways, outside a suite.

    Both get the same `params` and the data set with `digest`.
    """
    sides = [
        MemberSpec(
            name=name,
            framework=key.task,
            variant="",
            role=role,
            language=language,
            launch=launch,
            params=dict(params),
            parity=(ParityRule(output="*", check=INLINE_CHECK, tolerance=CLOSE_ENOUGH),),
        )
        for (name, role), launch in zip(_ROLES.items(), launches, strict=True)
    ]
    spec = GroupSpec(
        id=case,
        task=key.task,
        algorithm=key.algorithm,
        phase=key.phase,
        workload="",
        reference=BASE,
        members=(),
        dtype="f64",
        profile=profile,
        budget=budget,
        data=DataSpec(digest=digest),
    )
    return as_pair(spec, case, sides)


def as_pair(spec: GroupSpec, case: str, sides: Sequence[MemberSpec]) -> GroupSpec:
    """Return `spec` with `sides` as its only members, checked against each other and in no other way."""
    return msgspec.structs.replace(
        spec,
        id=case,
        reference=BASE,
        members=tuple(sides),
        budget=msgspec.structs.replace(spec.budget, call_cap_seconds=NO_CAP_SECONDS),
        judged=False,
        divide="",
        effects=(),
        convergence=None,
    )


def change_of(group: BoundGroup, record: GroupRecord, decisions: int) -> Change:
    """Return the change from base to head in the `record` of `group`, one of `decisions` cases.

    `gate.judge_family` decides over all cases which of them alarm.
    """
    case = group.spec.id
    members = {member.name: member for member in record.members}
    base, head = members[BASE], members[HEAD]
    if all(group.launches[name].missing for name in (BASE, HEAD)):
        return not_compared(case, "missing", "missing", base.reason)
    if base.status != "ok" and head.status == "skipped":
        # Without base's outputs, head was not run.
        return not_compared(case, "bad", "ok", f"base {base.status}: {base.reason}")
    (comparison,) = compare_group(record)
    p = smallest = None
    if comparison.ratio is not None:
        ratios = cell_log_ratios(head.cells, head.calls_per_round, base.cells, base.calls_per_round)
        above = math.log1p(comparison.alarm_above)
        p = signed_rank(ratios, shift=above, alternative="greater").p
        beyond = least_shift(ratios, ALPHA / decisions)
        smallest = None if beyond is None else exponential(above + beyond) - 1
    return gate.of_pair(case, comparison, (base.status, head.status), p, smallest)


def not_compared(case: str, base: Side, head: Side, reason: str) -> Change:
    """Return the change of a case that cannot be compared, from what a gate sees of its sides."""
    return Change(case=case, base=base, head=head, verdict="not comparable", reason=reason)
