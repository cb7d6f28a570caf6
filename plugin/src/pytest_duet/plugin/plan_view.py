"""What ``--duet-plan`` shows: every group and its members, which of them cannot run and why, and the estimated time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.api import SuiteDeclaration
from pytest_duet.errors import StoreError
from pytest_duet.records import machine, store
from pytest_duet.spec.launch import launch_spec
from pytest_duet.spec.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.plugin.planning import PlannedGroup
    from pytest_duet.plugin.pytest_session import PytestSession
    from pytest_duet.spec.group import MemberSpec

_OVERHEAD_SECONDS = 3.0
"""The time of a group beside its rounds and observations, for starts and checks; measured on small machines."""

_RUNS_READ = 20
"""The number of saved runs that are searched; a partial run has few groups."""


def lines(duet_session: PytestSession) -> Iterator[str]:
    """Yield the lines of the plan."""
    before = _seconds_before(duet_session)
    total, guessed = 0.0, 0
    groups = duet_session.groups.values()
    for group in groups:
        known = before.get(group.spec.id)
        guessed += known is None
        budget = group.spec.budget
        ceiling = budget.group_seconds + len(group.selected) * (budget.observe_seconds + 1) + _OVERHEAD_SECONDS
        seconds = ceiling if known is None else known
        total += seconds
        if not isinstance(group.declaration, SuiteDeclaration):
            yield f"{group.spec.id}: {', '.join(group.selected)} (its inputs are made when it runs)"
            continue
        size = ", ".join(f"{name} {value}" for name, value in group.spec.data.params.items())
        yield f"{group.spec.id}{f' ({size})' if size else ''}: {'<= ' if known is None else ''}{seconds:.0f} s"
        for name in group.selected:
            yield f"  {name:<20} {_outlook(group, group.spec.member(name))}"
    yield ""
    count, word, source = len(groups), "about", "from saved runs"
    if guessed:
        word = "at most about"
        source = f"{guessed} of {count} groups were never measured here and count with their budget"
    profile = duet_session.settings.profile
    yield f"{count} group{'s' if count != 1 else ''}, profile {profile}: {word} {total / 60:.1f} min ({source}); nothing was run"


def _outlook(group: PlannedGroup, member: MemberSpec) -> str:
    if member.unsound:
        return f"not comparable: {member.unsound} [reproducer: {member.reproducer}]"
    benches = group.bench_items[0].benches
    assert benches is not None
    missing = launch_spec(load_suite(benches), member.framework, threads=group.spec.threads).missing
    if missing:
        return f"unavailable: {missing}"
    return "would run" if member.role != "context" else "would run, for context"


def _seconds_before(duet_session: PytestSession) -> dict[str, float]:
    """Return the seconds each group took when it was last measured on this machine in this profile."""
    seconds: dict[str, float] = {}
    for path in store.saved(duet_session.settings.results, machine.this_machine())[:_RUNS_READ]:
        try:
            run = store.load(path)
        except StoreError:
            # An estimate can do without it.
            continue
        if run.profile == duet_session.settings.profile:
            seconds = {group.id: group.elapsed_ns / 1e9 for group in run.groups if group.elapsed_ns} | seconds
    return seconds
