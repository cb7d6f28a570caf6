"""Set two builds of one implementation against each other: which cases there are, their plans, what came of them.

Not for getting the builds (``trees``) and not for deciding over them (``gate``).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.analysis import gate
from pytest_duet.analysis.comparison import compare_group
from pytest_duet.binding import member as step
from pytest_duet.binding.member import Files
from pytest_duet.defaults import ALPHA
from pytest_duet.errors import reason_of
from pytest_duet.records.schema import Change
from pytest_duet.spec.resolve import applying, group_keys, make_group, member_names
from pytest_duet.stats.ratio import cell_log_ratios, exponential
from pytest_duet.stats.signed_rank import least_shift, signed_rank

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_duet.ids import GroupKey
    from pytest_duet.records.schema import GroupRecord
    from pytest_duet.spec.group import GroupSpec, LaunchSpec, MemberSpec
    from pytest_duet.spec.resolve import Suite

BASE: Final = "base"
HEAD: Final = "head"


@dataclass(frozen=True)
class Case:
    """One implementation at one workload: a group of the suite, and a member in it."""

    key: GroupKey
    member: str

    @property
    def id(self) -> str:
        """What it is called: ``regression/lasso-train-diabetes-native``."""
        return f"{self.key}-{self.member}"


def cases(suite: Suite, profile: str) -> list[Case]:
    """Return every case of `suite` in `profile` that is not declared unsound, in its order."""
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
    starts: Mapping[str, tuple[LaunchSpec, LaunchSpec]],
    profile: str,
    cache: Path,
) -> tuple[GroupSpec | None, str]:
    """Return the plan in which base and head of `case` are compared, or None and why they cannot be.

    `suites` are base's and head's, `starts` say by framework how their workers are started. They must be given the same
    job on the same bytes; a model that a phase starts from is trained once, by head.

    Raises:
        DataError: the data cannot be had.
        SpecError: head's spec cannot be used.

    """
    plan = make_group(suites[1], case.key, profile, cache)
    files = Files.of(plan.data())
    try:
        before = make_group(suites[0], case.key, profile, cache)
        digest = before.data().digest
    except Exception as error:  # noqa: BLE001 - whatever is wrong with base, it is not what head has to answer for
        return None, f"base: {reason_of(error)}"
    old, new = before.member(case.member), plan.member(case.member)
    if digest != files.digest:
        return None, "its data recipe is another than base's; set a new base once that is merged"
    if step.make_job(before, old, files) != step.make_job(plan, new, files):
        return None, "its parameters are others than base's; set a new base once that is merged"
    sides = [_side(new, name, start) for name, start in zip((BASE, HEAD), starts[new.framework], strict=True)]
    margin = plan.margins.get(case.member, plan.margin)
    return dataclasses.replace(as_pair(plan, case.id, sides), margin=margin, margins={}), ""


def _side(member: MemberSpec, name: str, start: LaunchSpec) -> MemberSpec:
    role = "reference" if name == BASE else "rival"
    # Held to base's own outputs; how good they are is the business of the suite's own run.
    return dataclasses.replace(
        member,
        name=name,
        role=role,  # type: ignore[arg-type]  # one of the two
        start=start,
        quality_params=None,
        against="",
    )


def as_pair(plan: GroupSpec, case: str, sides: list[MemberSpec]) -> GroupSpec:
    """Return `plan` with `sides` as its only members, checked against each other and by nothing else."""
    return dataclasses.replace(
        plan,
        id=case,
        reference=BASE,
        members=tuple(sides),
        # Nothing is too slow to be called a regression.
        budget=msgspec.structs.replace(plan.budget, call_cap_seconds=math.inf),
        quality=None,
        smaller=None,
        effects=(),
        convergence=None,
    )


def change_of(plan: GroupSpec, record: GroupRecord, decisions: int) -> Change:
    """Return how head stands to base in the `record` of `plan`, one of so many `decisions`.

    Whether it alarms depends on all of them: `gate.judge_family` says.
    """
    members = {member.name: member for member in record.members}
    base, head = members[BASE], members[HEAD]
    if all(each.start.missing for each in plan.members):
        return without(plan.id, base=False, head=False, reason=base.reason)
    if base.status != "ok" and head.status == "skipped":
        # Head was not tried, since there is nothing to hold it to.
        return undecided(plan.id, f"base {base.status}: {base.reason}")
    (comparison,) = compare_group(record)
    p = smallest = None
    if comparison.ratio is not None:
        ratios = cell_log_ratios(head.cells, head.calls_per_round, base.cells, base.calls_per_round)
        above = math.log1p(comparison.alarm_above)
        p = signed_rank(ratios, shift=above, alternative="greater").p
        beyond = least_shift(ratios, ALPHA / decisions)
        smallest = None if beyond is None else exponential(above + beyond) - 1
    return gate.of_pair(plan.id, comparison, (base.status, head.status), p, smallest)


def undecided(case: str, reason: str) -> Change:
    """Return the change of a case that is there on both sides and cannot be compared."""
    return Change(case=case, base="bad", head="ok", verdict="not comparable", reason=reason)


def without(case: str, *, base: bool, head: bool, reason: str) -> Change:
    """Return the change of a case that was not measured, and on which sides it is there."""
    return Change(
        case=case,
        base="ok" if base else "missing",
        head="ok" if head else "missing",
        verdict="not comparable",
        reason=reason,
    )
