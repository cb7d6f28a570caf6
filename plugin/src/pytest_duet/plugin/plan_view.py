"""What ``--duet-plan`` shows: every group, who is in it, who cannot be and why, and how long it would take.

Not for running any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet import store
from pytest_duet.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.plan import MemberPlan
    from pytest_duet.plugin.conductor import Conductor
    from pytest_duet.plugin.slots import Slot

_OVERHEAD_SECONDS = 3.0
"""What a group needs beside its timed rounds and its observations: starts, checks; seen on small machines."""


_RUNS_READ = 20
"""How many saved runs are looked through: a partial run holds a few groups only."""


def lines(conductor: Conductor) -> Iterator[str]:
    """Yield the lines of the plan."""
    before = _seconds_before(conductor)
    total, guessed, count = 0.0, 0, 0
    for plan, slots in conductor.plans():
        count += 1
        if plan is None:
            yield f"{slots[0].group_id}: {', '.join(slot.member for slot in slots)} (inputs are made when it runs)"
            guessed += 1
            total += _ceiling(conductor, slots)
            continue
        known = before.get(plan.id)
        guessed += known is None
        seconds = _ceiling(conductor, slots) if known is None else known
        total += seconds
        size = f" ({plan.workload_size})" if plan.workload_size else ""
        yield f"{plan.id}{size}: {'<= ' if known is None else ''}{seconds:.0f} s"
        for slot in slots:
            yield f"  {slot.member:<20} {_fate(plan.member(slot.member))}"
    yield ""
    source = "from saved runs" if not guessed else f"{guessed} of {count} by their budgets, never measured here"
    word = "about" if not guessed else "at most about"
    yield f"{count} group{'s' if count != 1 else ''}, profile {conductor.settings.profile}: {word} {total / 60:.1f} min ({source}); nothing was run"


def _fate(member: MemberPlan) -> str:
    if member.unsound:
        return f"not comparable: {member.unsound} [reproducer: {member.reproducer}]"
    if member.start.missing:
        return f"unavailable: {member.start.missing}"
    return "would run" if member.role != "context" else "would run, for context"


def _ceiling(conductor: Conductor, slots: list[Slot]) -> float:
    budget = conductor.budget(slots[0])
    return budget.group_seconds + len(slots) * (budget.observe_seconds + 1) + _OVERHEAD_SECONDS


def _seconds_before(conductor: Conductor) -> dict[str, float]:
    """Return how long each group took when it was last measured on this machine in this profile."""
    seconds: dict[str, float] = {}
    for path in store.saved(conductor.settings.results, store.machine())[:_RUNS_READ]:
        try:
            run = store.load(path)
        except StoreError:
            # An estimate can do without it; whoever asks for that very run is told.
            continue
        if run.profile == conductor.settings.profile:
            seconds = {group.id: group.elapsed_ns / 1e9 for group in run.groups if group.elapsed_ns} | seconds
    return seconds
