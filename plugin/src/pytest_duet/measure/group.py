"""Measure the members of a validated group: their rounds in turns, their time to a fixed quality, their resources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.binding.outputs import kept_outputs
from pytest_duet.measure import convergence, pinning
from pytest_duet.measure.estimate import estimate_calls, not_settled
from pytest_duet.measure.schedule import make_schedule
from pytest_duet.measure.timing import Timing, time_members
from pytest_duet.measure.worker_provider import Fresh, Persistent
from pytest_duet.telemetry import cpu

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping

    from pytest_duet.binding.bind import Arrays
    from pytest_duet.binding.group import LiveGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.worker_provider import WorkerProvider
    from pytest_duet.workers.client import Client
    from pytest_duet.workers.spawner import Spawner

    CheckKept = Callable[[LiveGroup, Member, Arrays], None]
    """Raises MemberError where the outputs of a timed round are not those that were checked."""

_IDLE_SECONDS = 0.3
_IDLE_BELOW = 0.1


def time_group(live: LiveGroup, mode: Mode, spawner: Spawner, check_kept: CheckKept, rng: random.Random) -> None:
    """Time every member that is ok, interleaved, and check that each computes the same all the while.

    `spawner` starts fresh processes where `mode` wants them.
    """
    estimate_calls(live)
    ready = live.ready()
    if not ready:
        return
    budget, stop, pairs = live.spec.budget, mode.stop, _pairs(live, ready)
    schedule = make_schedule(
        {name: each.call_ns for name, each in ready.items()},
        group_seconds=budget.group_seconds,
        most_calls={name: each.most_calls for name, each in ready.items()},
        cells=stop.least,
        fresh=mode.fresh,
        warm_after={name: each.warm_after for name, each in ready.items()},
        pairs=pairs,
        alike=mode.alike,
    )

    def check(name: str, client: Client, digest: str | None) -> None:
        check_kept(live, live.members[name], kept_outputs(client, digest))

    how = Timing(
        schedule=schedule,
        stop=stop,
        pairs=pairs,
        budget_seconds=budget.group_seconds,
        pinned=_can_be_pinned(live, ready.values()),
        check_kept=check,
        progress=live.progress,
    )
    timed = time_members(_provider(live, ready, mode, spawner, rng), list(ready), how, rng)
    for name, member in ready.items():
        result = timed[name]
        member.calls_per_round, member.cells, member.work = schedule.calls[name], result.cells, result.work
        member.spans = result.spans
        if result.error:
            member.fail(result.error)
    live.flags += not_settled(live)
    live.require_reference()


def time_convergence(live: LiveGroup) -> None:
    """Find out how long each member that is ok takes to reach a solution that is good enough, where the spec asks."""
    if live.spec.convergence is None:
        return
    readings = convergence.time_to_goal(live, live.spec.convergence)
    for name, each in readings.items():
        live.members[name].readings = each


def _provider(
    live: LiveGroup, ready: Mapping[str, Member], mode: Mode, spawner: Spawner, rng: random.Random
) -> WorkerProvider:
    if mode.fresh:
        return Fresh(ready, live.group, live.files, spawner, rng)
    return Persistent({name: each.client for name, each in ready.items() if each.client})


def _pairs(live: LiveGroup, ready: Mapping[str, Member]) -> list[tuple[str, str]]:
    """Return the rivals, each with the member it is compared with, as far as both are timed."""
    pairs = (
        (name, each.spec.against or live.spec.reference) for name, each in ready.items() if each.spec.role == "rival"
    )
    return [(name, other) for name, other in pairs if other in ready]


def _can_be_pinned(live: LiveGroup, members: Iterable[Member]) -> bool:
    """Return whether members take turns on one CPU; flag what keeps them from being compared so."""
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
