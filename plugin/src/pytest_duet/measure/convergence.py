"""Measure the time that each member needs to reach a good enough solution: stop rules differ, solutions can be compared.

A solution is good enough within a fixed gap of the best one, or at a fixed quality; either is judged off the clock.
These times are of single calls, without an interval or a ratio. The rounds of a group are timed with the spec's own stop rule.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_duet.errors import MemberError
from pytest_duet.records.schema import Reading
from pytest_duet.spec.derived import convergence_steps
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.binding.bind import Arrays, BoundGroup, Objective
    from pytest_duet.binding.live_group import LiveGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.spec.group import ConvergenceSpec

Climbed = list[tuple[float | bool, float]] | str
"""(what was judged, ns of one call) from the loosest stop rule to the strictest, or why the member failed."""


def time_convergence(live: LiveGroup) -> None:
    """Give each member that is ok the readings of its convergence, if the spec asks for them.

    With a gap: the objective as it was timed, its gap to the best, and the time to the gap. With quality limits: the
    first value of the job parameter that keeps them, and its time. If a member cannot do something, its readings have
    the reason, and it stays comparable.
    """
    spec = live.spec.convergence
    if spec is None:
        return
    if spec.gap is not None:
        assert live.group.objective is not None
        _time_to_gap(live, spec.gap, live.group.objective)
        return

    def kept(group: BoundGroup, _: Member, outputs: Arrays) -> bool:
        return spec.limits.kept_by(dict(group.qualities(outputs, live.files.arrays)))

    for member in live.ready().values():
        member.readings = _target_readings(_climb(live, member, kept), spec)


def _time_to_gap(live: LiveGroup, gap: float, judge: Objective) -> None:
    def objective(group: BoundGroup, member: Member, outputs: Arrays) -> float:
        return float(judge(group.spec.algorithm, outputs, live.files.arrays, group.spec.member(member.name).params))

    members = live.ready().values()
    found = [(objective(live.group, each, each.outputs), _climb(live, each, objective)) for each in members]
    reached = [as_timed for as_timed, _ in found]
    reached += [value for _, steps in found if not isinstance(steps, str) for value, _ in steps]
    best = min((value for value in reached if not math.isnan(value)), default=math.nan)
    for member, (as_timed, steps) in zip(members, found, strict=True):
        member.readings = _gap_readings(as_timed, steps, best, gap)


def _climb(live: LiveGroup, member: Member, judge: Callable[[BoundGroup, Member, Arrays], float | bool]) -> Climbed:
    """Judge each stop rule; the first of which `judge` says True is the last, as the others would only take longer."""
    live.progress(f"how fast {member.name} converges")
    climbed = []
    try:
        for spec in convergence_steps(live.spec):
            group = live.group.derived(spec)
            member.prepare(group, live.files)
            reply, outputs = member.verify()
            judged = judge(group, member, outputs)
            climbed.append((judged, min(reply.elapsed_ns, member.pilot_ns(reply.elapsed_ns))))
            if judged is True:
                break
    except MemberError as error:
        return str(error)
    return climbed


def _target_readings(climbed: Climbed, spec: ConvergenceSpec) -> list[Reading]:
    value, ns = None, None
    reason = climbed if isinstance(climbed, str) else f"not reached with {spec.param} of {spec.values[-1]:g}"
    if not isinstance(climbed, str) and climbed and climbed[-1][0]:
        value, ns, reason = spec.values[len(climbed) - 1], climbed[-1][1], ""
    return [
        Reading(metric=f"{spec.param}_to_{spec.limits}", unit="", value=value, reason=reason),
        Reading(metric=f"time_to_{spec.limits}", unit="ns", value=ns, reason=reason),
    ]


def _gap_readings(objective: float, steps: Climbed, best: float, gap: float) -> list[Reading]:
    if isinstance(steps, str):
        found, reason = None, steps
    else:
        found = next((ns for value, ns in steps if _gap(value, best) <= gap), None)
        reason = f"not reached: no stop rule came within {gap:g} of the best" if found is None else ""
    return [
        Reading(metric="objective", unit="", value=to_number(objective)),
        Reading(metric="objective_gap", unit="", value=to_number(_gap(objective, best))),
        Reading(metric=f"time_to_gap_of_{gap:g}", unit="ns", value=found, reason=reason),
    ]


def _gap(value: float, best: float) -> float:
    """Return how far `value` is above the best, relative to the size of the best."""
    return (value - best) / max(abs(best), 1e-300)
