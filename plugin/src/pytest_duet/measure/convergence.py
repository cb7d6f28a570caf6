"""Take the time each member needs to reach a solution that is good enough: stop rules differ, solutions compare.

A solution is good enough within a fixed gap of the best one, or with a fixed quality; either is judged off the clock.
These are single calls without an interval, not ratios. The stop rule of the spec is what is timed in turns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

from pytest_duet.errors import MemberError
from pytest_duet.records.schema import Reading
from pytest_duet.spec.derived import convergence_steps
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_duet.binding.bind import Arrays, BoundGroup, Objective
    from pytest_duet.binding.group import LiveGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.spec.group import ConvergenceSpec

_JudgedT = TypeVar("_JudgedT")

Steps = list[tuple[float, float]]
"""(objective, ns of one call), from the loosest stop to the strictest."""


def time_to_goal(live: LiveGroup, spec: ConvergenceSpec) -> dict[str, list[Reading]]:
    """Return the readings of each member that is ok.

    With a gap: the objective as it was timed, its gap to the best, the time to the gap. With limits of quality: the
    first value of the job parameter that keeps them, and the time that took. What a member cannot do is the reason in
    its readings; it stays comparable.
    """
    if spec.gap is not None:
        assert live.group.objective is not None
        return _time_to_gap(live, spec.gap, live.group.objective)
    readings = {}
    for name, member in live.ready().items():
        live.progress(f"how fast {name} reaches {spec.limits}")
        try:
            readings[name] = _target_readings(_qualities(live, member, spec), spec)
        except MemberError as error:
            readings[name] = _target_readings(str(error), spec)
    return readings


def _time_to_gap(live: LiveGroup, gap: float, judge: Objective) -> dict[str, list[Reading]]:
    def objective(group: BoundGroup, member: Member, outputs: Arrays) -> float:
        return float(judge(group.spec.algorithm, outputs, live.files.arrays, group.spec.member(member.name).params))

    members = live.ready()
    taken: dict[str, Steps | str] = {}
    as_timed: dict[str, float] = {}
    for name, member in members.items():
        live.progress(f"how fast {name} converges")
        as_timed[name] = objective(live.group, member, member.outputs)
        try:
            taken[name] = list(_climb(live, member, objective))
        except MemberError as error:
            taken[name] = str(error)
    reached = [
        *as_timed.values(),
        *(value for steps in taken.values() if isinstance(steps, list) for value, _ in steps),
    ]
    best = min((value for value in reached if not math.isnan(value)), default=math.nan)
    return {name: _readings(as_timed[name], taken[name], best, gap) for name in members}


def _qualities(live: LiveGroup, member: Member, spec: ConvergenceSpec) -> list[tuple[bool, float]]:
    """Climb until the limits are kept: what comes after would only take longer."""

    def kept(group: BoundGroup, _: Member, outputs: Arrays) -> bool:
        return spec.limits.kept_by(dict(group.qualities(outputs, live.files.arrays)))

    climbed = []
    for step in _climb(live, member, kept):
        climbed.append(step)
        if step[0]:
            break
    return climbed


def _climb(
    live: LiveGroup, member: Member, judge: Callable[[BoundGroup, Member, Arrays], _JudgedT]
) -> Iterator[tuple[_JudgedT, float]]:
    """Yield what `judge` says of each stop rule, and the ns of one call under it."""
    for spec in convergence_steps(live.spec):
        group = live.group.derived(spec)
        member.prepare(group, live.files)
        reply, outputs = member.verify()
        judged = judge(group, member, outputs)
        yield judged, min(reply.elapsed_ns, member.pilot_ns(reply.elapsed_ns))


def _target_readings(climbed: list[tuple[bool, float]] | str, spec: ConvergenceSpec) -> list[Reading]:
    value: float | None = None
    ns: float | None = None
    reason = climbed if isinstance(climbed, str) else f"not reached with {spec.param} of {spec.values[-1]:g}"
    if not isinstance(climbed, str) and climbed and climbed[-1][0]:
        value, ns, reason = spec.values[len(climbed) - 1], climbed[-1][1], ""
    return [
        Reading(metric=f"{spec.param}_to_{spec.limits}", unit="", value=value, reason=reason),
        Reading(metric=f"time_to_{spec.limits}", unit="ns", value=ns, reason=reason),
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
