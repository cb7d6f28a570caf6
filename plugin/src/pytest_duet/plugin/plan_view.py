"""What ``--duet-plan`` shows: every group, who is in it, who cannot be and why, and how long it would take.

Not for running any of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.errors import StoreError
from pytest_duet.records import machine, store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.session import PytestSession
    from pytest_duet.spec.group import MemberSpec

_OVERHEAD_SECONDS = 3.0
"""What a group needs beside its timed rounds and its observations: starts, checks; seen on small machines."""


_RUNS_READ = 20
"""How many saved runs are looked through: a partial run holds a few groups only."""


def lines(duet_session: PytestSession) -> Iterator[str]:
    """Yield the lines of the plan."""
    before = _seconds_before(duet_session)
    total, guessed, count = 0.0, 0, 0
    for plan, bench_items in duet_session.plans():
        count += 1
        if plan is None:
            yield f"{bench_items[0].group_id}: {', '.join(bench_item.member for bench_item in bench_items)} (inputs are made when it runs)"
            guessed += 1
            total += _ceiling(duet_session, bench_items)
            continue
        known = before.get(plan.id)
        guessed += known is None
        seconds = _ceiling(duet_session, bench_items) if known is None else known
        total += seconds
        size = f" ({plan.workload_size})" if plan.workload_size else ""
        yield f"{plan.id}{size}: {'<= ' if known is None else ''}{seconds:.0f} s"
        for bench_item in bench_items:
            yield f"  {bench_item.member:<20} {_fate(plan.member(bench_item.member))}"
    yield ""
    source = "from saved runs" if not guessed else f"{guessed} of {count} by their budgets, never measured here"
    word = "about" if not guessed else "at most about"
    yield f"{count} group{'s' if count != 1 else ''}, profile {duet_session.settings.profile}: {word} {total / 60:.1f} min ({source}); nothing was run"


def _fate(member: MemberSpec) -> str:
    if member.unsound:
        return f"not comparable: {member.unsound} [reproducer: {member.reproducer}]"
    if member.start.missing:
        return f"unavailable: {member.start.missing}"
    return "would run" if member.role != "context" else "would run, for context"


def _ceiling(duet_session: PytestSession, bench_items: list[BenchItem]) -> float:
    budget = duet_session.budget(bench_items[0])
    return budget.group_seconds + len(bench_items) * (budget.observe_seconds + 1) + _OVERHEAD_SECONDS


def _seconds_before(duet_session: PytestSession) -> dict[str, float]:
    """Return how long each group took when it was last measured on this machine in this profile."""
    seconds: dict[str, float] = {}
    for path in store.saved(duet_session.settings.results, machine.this_machine())[:_RUNS_READ]:
        try:
            run = store.load(path)
        except StoreError:
            # An estimate can do without it; whoever asks for that very run is told.
            continue
        if run.profile == duet_session.settings.profile:
            seconds = {group.id: group.elapsed_ns / 1e9 for group in run.groups if group.elapsed_ns} | seconds
    return seconds
