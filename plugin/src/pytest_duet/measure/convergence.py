"""Take the time each member needs to come within a fixed gap of the best solution: stop rules differ, solutions compare.

Not for ratios: these are single calls, without interval. The stop rule as it stands is what is timed in turns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_duet.errors import MemberError
from pytest_duet.measure import member as step
from pytest_duet.protocol import to_number
from pytest_duet.record import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_duet.measure.member import Files, Member
    from pytest_duet.plan import Convergence

Steps = list[tuple[float, float]]
"""(objective, ns of one call), from the loosest stop to the strictest."""


def time_to_gap(
    members: Mapping[str, Member], plan: Convergence, files: Files, progress: Callable[[str], None]
) -> dict[str, list[Reading]]:
    """Return the readings of each member: its objective as it was timed, the gap to the best, the time to `plan.gap`.

    What a member cannot do is said in its readings; it stays comparable.
    """
    taken: dict[str, Steps | str] = {}
    at_rest: dict[str, float] = {}
    for name, member in members.items():
        progress(f"how fast {name} converges")
        at_rest[name] = plan.objective(plan.groups[0].algorithm, member.outputs, files.arrays, member.plan.params)
        try:
            taken[name] = _descend(member, plan, files)
        except MemberError as error:
            taken[name] = str(error)
    reached = [*at_rest.values(), *(value for steps in taken.values() if isinstance(steps, list) for value, _ in steps)]
    best = min((value for value in reached if not math.isnan(value)), default=math.nan)
    return {name: _readings(at_rest[name], taken[name], best, plan.gap) for name in members}


def _descend(member: Member, plan: Convergence, files: Files) -> Steps:
    steps = []
    for group in plan.groups:
        told = group.member(member.plan.name)
        step.prepare(member, group, files)
        reply, outputs = step.verify(member)
        value = plan.objective(group.algorithm, outputs, files.arrays, told.params)
        steps.append((float(value), min(reply.elapsed_ns, step.call_ns(member, reply.elapsed_ns))))
    return steps


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
