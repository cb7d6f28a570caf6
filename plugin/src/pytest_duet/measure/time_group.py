"""Time the members of a validated group, in turns and interleaved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_duet.binding.member import kept_outputs
from pytest_duet.measure import pinning
from pytest_duet.measure.schedule import make_schedule
from pytest_duet.measure.timing import Timing, fresh_workers, persistent_workers, time_members
from pytest_duet.measure.warmup import PATIENCE_NS, estimate_calls
from pytest_duet.telemetry import cpu

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from pytest_duet.binding.bind import Arrays
    from pytest_duet.binding.live_group import LiveGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.measure.mode import Mode
    from pytest_duet.workers.client import Client
    from pytest_duet.workers.spawner import Spawner

    CheckKept = Callable[[LiveGroup, Member, Arrays], None]
    """Raises MemberError if the outputs of a timed round are not those that were checked."""

_IDLE_SECONDS = 0.3
_IDLE_BELOW = 0.1


def time_group(live: LiveGroup, mode: Mode, spawner: Spawner, check_kept: CheckKept, rng: random.Random) -> None:
    """Time every member that is ok, and check that each still computes the same.

    `spawner` starts the processes of a `mode` with fresh ones.
    """
    estimate_calls(live)
    ready = live.ready()
    if not ready:
        return
    # Each rival with the member it is compared with, if both are timed.
    rivals = [each for each in ready.values() if each.spec.role == "rival"]
    pairs = [(each.name, other) for each in rivals if (other := each.spec.against or live.spec.reference) in ready]
    budget = live.spec.budget
    schedule = make_schedule(
        {name: each.call_ns for name, each in ready.items()},
        group_seconds=budget.group_seconds,
        most_calls={name: each.most_calls for name, each in ready.items()},
        cells=mode.stop.least,
        fresh=mode.fresh,
        warm_after={name: each.warm_after for name, each in ready.items()},
        pairs=pairs,
        alike=mode.alike,
    )

    def check(name: str, client: Client, digest: str | None) -> None:
        check_kept(live, live.members[name], kept_outputs(client, digest))

    timing = Timing(
        schedule=schedule,
        stop=mode.stop,
        pairs=pairs,
        budget_seconds=budget.group_seconds,
        pinned=_can_be_pinned(live, ready.values()),
        check_kept=check,
        progress=live.progress,
    )
    clients = {name: each.client for name, each in ready.items() if each.client}
    fresh = partial(fresh_workers, ready, live.group, live.files, spawner, rng)
    provider = fresh if mode.fresh else partial(persistent_workers, clients)
    for name, timed in time_members(provider, list(ready), timing, rng).items():
        member = ready[name]
        member.calls_per_round, member.cells = schedule.calls[name], timed.cells
        member.work, member.spans = timed.work, timed.spans
        if timed.error:
            member.fail(timed.error)
    live.flags += [
        f"{name}: no steady state within {PATIENCE_NS / 1e9:g} s of rounds; its times may still have been changing"
        for name, member in live.members.items()
        if not member.settled
    ]
    live.require_reference()


def _can_be_pinned(live: LiveGroup, members: Iterable[Member]) -> bool:
    """Return whether members take turns on one CPU; flag what makes the comparison less reliable."""
    if live.spec.threads > 1:
        if (busy := cpu.busy_share(_IDLE_SECONDS)) > _IDLE_BELOW:
            live.flags.append(
                f"other work kept {busy:.0%} of the CPUs busy; several threads can only be compared on an idle machine"
            )
        return False
    unpinned = pinning.obstacle([each.client.pid for each in members if each.client])
    if unpinned:
        live.flags.append(unpinned)
    return not unpinned
