"""Take the time each member needs to come to a solution that is good enough: stop rules differ, solutions compare.

Good enough is what lies within a fixed gap of the best solution, or what has a fixed quality; either is judged off the
clock. Not for ratios: these are single calls, without interval. The stop rule as it stands is what is timed in turns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from pytest_duet.binding import member as step
from pytest_duet.errors import MemberError
from pytest_duet.protocol import to_number
from pytest_duet.records.schema import Reading
from pytest_duet.spec.group import Gap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_duet.binding.member import Arrays, Files, Member
    from pytest_duet.spec.group import Convergence, GroupSpec, Limits

    Progress = Callable[[str], None]

_JudgedT = TypeVar("_JudgedT")

Steps = list[tuple[float, float]]
"""(objective, ns of one call), from the loosest stop to the strictest."""


def time_to_goal(
    members: Mapping[str, Member], plan: Convergence, files: Files, progress: Progress
) -> dict[str, list[Reading]]:
    """Return the readings of each member.

    With a gap: its objective as it was timed, the gap to the best, the time to the gap. With limits of quality: what the
    job parameter was told when they were kept first, and the time that took. What a member cannot do is said in its
    readings; it stays comparable.
    """
    if isinstance(plan.goal, Gap):
        return _time_to_gap(members, plan, plan.goal, files, progress)
    readings = {}
    for name, member in members.items():
        progress(f"how fast {name} reaches {plan.goal}")
        try:
            readings[name] = _target_readings(_qualities(member, plan, plan.goal, files), plan)
        except MemberError as error:
            readings[name] = _target_readings(str(error), plan)
    return readings


def _time_to_gap(
    members: Mapping[str, Member], plan: Convergence, goal: Gap, files: Files, progress: Progress
) -> dict[str, list[Reading]]:
    def objective(group: GroupSpec, member: Member, outputs: Arrays) -> float:
        params = group.member(member.plan.name).params
        return float(goal.objective(group.algorithm, outputs, files.arrays, params))

    taken: dict[str, Steps | str] = {}
    at_rest: dict[str, float] = {}
    for name, member in members.items():
        progress(f"how fast {name} converges")
        at_rest[name] = goal.objective(plan.groups[0].algorithm, member.outputs, files.arrays, member.plan.params)
        try:
            taken[name] = list(_climb(member, plan, files, objective))
        except MemberError as error:
            taken[name] = str(error)
    reached = [*at_rest.values(), *(value for steps in taken.values() if isinstance(steps, list) for value, _ in steps)]
    best = min((value for value in reached if not math.isnan(value)), default=math.nan)
    return {name: _readings(at_rest[name], taken[name], best, goal.relative) for name in members}


def _qualities(member: Member, plan: Convergence, limits: Limits, files: Files) -> list[tuple[bool, float]]:
    """Climb until the limits are kept: what comes after would only take longer."""

    def kept(group: GroupSpec, _: Member, outputs: Arrays) -> bool:
        return limits.kept_by(step.qualities(group, outputs, files))

    climbed = []
    for rung in _climb(member, plan, files, kept):
        climbed.append(rung)
        if rung[0]:
            break
    return climbed


def _climb(
    member: Member, plan: Convergence, files: Files, judge: Callable[[GroupSpec, Member, Arrays], _JudgedT]
) -> Iterator[tuple[_JudgedT, float]]:
    """Yield what `judge` says of each rung of the ladder, and the ns of one call there."""
    for group in plan.groups:
        step.prepare(member, group, files)
        reply, outputs = step.verify(member)
        judged = judge(group, member, outputs)
        yield judged, min(reply.elapsed_ns, step.call_ns(member, reply.elapsed_ns))


def _target_readings(climbed: list[tuple[bool, float]] | str, plan: Convergence) -> list[Reading]:
    told: float | None = None
    ns: float | None = None
    reason = climbed if isinstance(climbed, str) else f"not reached with {plan.param} of {plan.values[-1]:g}"
    if not isinstance(climbed, str) and climbed and climbed[-1][0]:
        told, ns, reason = plan.values[len(climbed) - 1], climbed[-1][1], ""
    return [
        Reading(metric=f"{plan.param}_to_{plan.goal}", unit="", value=told, reason=reason),
        Reading(metric=f"time_to_{plan.goal}", unit="ns", value=ns, reason=reason),
    ]


def _readings(objective: float, steps: Steps | str, best: float, gap: float) -> list[Reading]:
    found: float | None = None
    reason = steps if isinstance(steps, str) else f"not reached: no stop rule of the ladder came within {gap:g}"
    for value, ns in [] if isinstance(steps, str) else steps:
        if _gap(value, best) <= gap:
            found, reason = ns, ""
            break
    return [
        Reading(metric="objective", unit="", value=to_number(objective)),
        Reading(metric="objective_gap", unit="", value=to_number(_gap(objective, best))),
        Reading(metric=f"time_to_gap_of_{gap:g}", unit="ns", value=found, reason=reason),
    ]


def _gap(value: float, best: float) -> float:
    """Return how far `value` lies above the best, relative to its size."""
    return (value - best) / max(abs(best), 1e-300)
