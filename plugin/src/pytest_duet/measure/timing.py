"""Run the rounds of a group's members in turns, so that whatever slows the machine slows all members alike.

``schedule`` and ``stop`` decide how many rounds there are. Nothing is observed while the clock runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import MemberError
from pytest_duet.measure.pinning import pin_to_one, restored
from pytest_duet.measure.schedule import MIN_CELLS, MIN_CYCLES
from pytest_duet.stats.ratio import cell_log_ratios

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from pytest_duet.measure.schedule import Schedule
    from pytest_duet.measure.stop import Stop
    from pytest_duet.measure.worker_provider import WorkerProvider, Workers
    from pytest_duet.workers.client import Client

RESERVE: Final = 0.1
"""The share of the remaining budget that is left unplanned, in case the machine gets slower."""

KeptRound = tuple[int, float, int]
"""The cell, the position within its measured cycles from 0 to 1, and the round of the burst."""


@dataclass
class Timed:
    """The times of one member: `cells` → cycles → rounds in ns, and the `work` of a call.

    `spans` has the sum of each span over all measured rounds, in ns.
    """

    cells: list[list[list[int]]] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    error: MemberError | None = None


@dataclass(frozen=True)
class Timing:
    """How members are timed: `pairs` lists the ratios that must become precise, as (member, the one it is compared with).

    `check_kept` gets a member's name, the worker that kept its output, and the digest it reported. It is called off the
    clock and raises `MemberError` if the output is wrong.
    """

    schedule: Schedule
    stop: Stop
    pairs: Sequence[tuple[str, str]]
    budget_seconds: float
    pinned: bool
    check_kept: Callable[[str, Client, str | None], None]
    progress: Callable[[str], None]


def time_members(
    provider: WorkerProvider,
    names: Sequence[str],
    timing: Timing,
    rng: random.Random,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Timed]:
    """Return the times of every member. If one fails, its error is returned with its times, and the others go on.

    The round whose output is kept is drawn here, so that no implementation can know it. The budget is for rounds: starting
    processes does not count. If the machine is slower than it was when the schedule was made, later cells get fewer
    cycles, so that there are still enough cells to decide.
    """
    timed = {name: Timed() for name in names}
    keep_at = {name: _draw(timing.schedule, rng) for name in names}
    cell_seconds: list[float] = []
    cycles = timing.schedule.cycles
    all_cycles = 0
    while not _is_enough(cell_seconds, timed, timing):
        running = [name for name in names if timed[name].error is None]
        if not running:
            break
        cell = len(cell_seconds)
        timing.progress(f"timing, cell {cell + 1} of {max(timing.stop.least, cell + 1)}")
        with provider.cell(running) as workers:
            cell_seconds.append(_run_cell(cell, cycles, workers, timed, keep_at, timing, rng, clock))
        all_cycles += timing.schedule.warmup + cycles
        cycles = _next_cycles(cell_seconds, all_cycles, timing)
    return timed


def _next_cycles(cell_seconds: Sequence[float], all_cycles: int, timing: Timing) -> int:
    """Return how many cycles the next cell has: as planned, or fewer if the missing cells would not fit otherwise."""
    planned, missing = timing.schedule.cycles, timing.stop.least - len(cell_seconds)
    spent = sum(cell_seconds)
    if missing <= 0 or not spent:
        return planned
    seconds_per_cell = (1 - RESERVE) * (timing.budget_seconds - spent) / missing
    affordable = int(seconds_per_cell / (spent / all_cycles)) - timing.schedule.warmup
    return min(planned, max(min(planned, MIN_CYCLES), affordable))


def _draw(schedule: Schedule, rng: random.Random) -> KeptRound:
    """Draw the round to keep, from the first `MIN_CELLS` cells, which always run."""
    return rng.randrange(MIN_CELLS), rng.random(), rng.randrange(schedule.burst)


def _is_enough(cell_seconds: Sequence[float], timed: Mapping[str, Timed], timing: Timing) -> bool:
    cells = len(cell_seconds)
    if cells >= MIN_CELLS and sum(cell_seconds) + cell_seconds[-1] > timing.budget_seconds * timing.stop.patience:
        return True
    return cells >= timing.stop.least and timing.stop.is_reached(cells, _log_ratios(timed, timing))


def _log_ratios(timed: Mapping[str, Timed], timing: Timing) -> list[list[float]]:
    calls = timing.schedule.calls
    return [
        cell_log_ratios(timed[name].cells, calls[name], timed[other].cells, calls[other])
        for name, other in timing.pairs
        if timed[name].error is None and timed[other].error is None
    ]


def _run_cell(
    cell: int,
    cycles: int,
    workers: Workers,
    timed: Mapping[str, Timed],
    keep_at: Mapping[str, KeptRound],
    timing: Timing,
    rng: random.Random,
    clock: Callable[[], float],
) -> float:
    """Run one cell and return how many seconds its rounds took."""
    clients: dict[str, Client] = {}
    for name, client in workers.items():
        timed[name].cells.append([])
        if isinstance(client, MemberError):
            timed[name].error = client
        else:
            clients[name] = client
    kept: dict[str, str | None] = {}
    with restored([client.pid for client in clients.values()]):
        if timing.pinned:
            pin_to_one([client.pid for client in clients.values()], rng)
        started = clock()
        for cycle in range(-timing.schedule.warmup, cycles):
            order = [name for name in clients if timed[name].error is None]
            rng.shuffle(order)
            for name in order:
                kept_cell, position, kept_round = keep_at[name]
                keep = kept_round if (kept_cell, int(position * cycles)) == (cell, cycle) else None
                digest = _run_burst(clients[name], timed[name], timing.schedule, cycle, keep)
                if keep is not None:
                    kept[name] = digest
        elapsed = clock() - started
    for name, digest in kept.items():
        if timed[name].error is None:
            try:
                timing.check_kept(name, clients[name], digest)
            except MemberError as error:
                timed[name].error = error
    return elapsed


def _run_burst(client: Client, member: Timed, schedule: Schedule, cycle: int, keep: int | None) -> str | None:
    """Run one burst and store its rounds, except in warm-up (`cycle` below 0); return the digest of the kept output."""
    try:
        reply = client.run(schedule.burst, schedule.calls[client.name], keep)
    except MemberError as error:
        member.error = error
        return None
    if cycle >= 0:
        member.cells[-1].append(reply.elapsed_ns)
        for span, rounds_ns in reply.spans.items():
            member.spans[span] = member.spans.get(span, 0) + sum(rounds_ns)
    member.work = reply.work
    return reply.digest
