"""Run the rounds of a group's members in turns, so that whatever slows the machine slows all of them alike.

Not for deciding how many rounds (``schedule``, ``stop``), and not for telemetry: nobody looks while the clock runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import MemberError
from pytest_duet.measure.pinning import pin_to_one, restored
from pytest_duet.measure.schedule import LEAST_CELLS, LEAST_CYCLES
from pytest_duet.stats.ratio import cell_log_ratios

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    from pytest_duet.measure.schedule import Schedule
    from pytest_duet.measure.stop import Stop
    from pytest_duet.measure.worker_provider import WorkerProvider, Workers
    from pytest_duet.workers.client import Client

SPARE: Final = 0.1
"""Of what is left of a budget, the share that is not planned with: the machine may get slower still."""

Keep = tuple[int, float, int]
"""The cell, how far into it from 0 to 1, and the round of the burst."""


@dataclass
class Timed:
    """What timing one member gave: `cells` → cycles → rounds in ns, and the `work` of a call.

    `spans` sums the named parts over all measured rounds, in ns.
    """

    cells: list[list[list[int]]] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    error: MemberError | None = None


@dataclass(frozen=True)
class Timing:
    """How members are timed: `pairs` are those whose ratio is wanted, each with the one it is set against.

    `check_kept` sees, off the clock, the worker that kept a round and the digest it gave of it; it raises `MemberError`
    where the output is wrong.
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
    how: Timing,
    rng: random.Random,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Timed]:
    """Return the rounds of every member; one that fails keeps its error and leaves the others to go on.

    Which round's output is kept is drawn here, so that no implementation can know it. The budget is for rounds: what it
    takes to start processes does not count. Where the machine is slower than it was when the schedule was made, later cells
    get fewer cycles, so that there are still as many cells as it takes to decide.
    """
    timed = {name: Timed() for name in names}
    keep_at = {name: _draw(how.schedule, rng) for name in names}
    took: list[float] = []
    cycles = how.schedule.cycles
    all_cycles = 0
    while not _is_enough(took, timed, how):
        running = [name for name in names if timed[name].error is None]
        if not running:
            break
        cell = len(took)
        how.progress(f"timing, cell {cell + 1} of {max(how.stop.least, cell + 1)}")
        with provider.cell(running) as workers:
            took.append(_cell(cell, cycles, workers, timed, keep_at, how, rng, clock))
        all_cycles += how.schedule.warmup + cycles
        cycles = _next_cycles(took, all_cycles, how)
    return timed


def _next_cycles(took: Sequence[float], all_cycles: int, how: Timing) -> int:
    """Return how many cycles the next cell has: as many as were planned, if the cells that must come still fit then."""
    planned, missing = how.schedule.cycles, how.stop.least - len(took)
    if missing <= 0:
        return planned
    left = (1 - SPARE) * (how.budget_seconds - sum(took)) / missing
    task_folder = int(left / (sum(took) / all_cycles)) - how.schedule.warmup if sum(took) else planned
    return min(planned, max(min(planned, LEAST_CYCLES), task_folder))


def _draw(schedule: Schedule, rng: random.Random) -> Keep:
    """Draw the round to keep, from cells that surely run."""
    return rng.randrange(LEAST_CELLS), rng.random(), rng.randrange(schedule.burst)


def _is_enough(took: Sequence[float], timed: Mapping[str, Timed], how: Timing) -> bool:
    cells = len(took)
    if cells >= LEAST_CELLS and sum(took) + took[-1] > how.budget_seconds * how.stop.patience:
        return True
    return cells >= how.stop.least and how.stop.is_reached(cells, _log_ratios(timed, how))


def _log_ratios(timed: Mapping[str, Timed], how: Timing) -> list[list[float]]:
    calls = how.schedule.calls
    return [
        cell_log_ratios(timed[name].cells, calls[name], timed[other].cells, calls[other])
        for name, other in how.pairs
        if timed[name].error is None and timed[other].error is None
    ]


def _cell(
    cell: int,
    cycles: int,
    workers: Workers,
    timed: Mapping[str, Timed],
    keep_at: Mapping[str, Keep],
    how: Timing,
    rng: random.Random,
    clock: Callable[[], float],
) -> float:
    """Run one cell and return the seconds it took."""
    clients: dict[str, Client] = {}
    for name, client in workers.items():
        timed[name].cells.append([])
        if isinstance(client, MemberError):
            timed[name].error = client
        else:
            clients[name] = client
    kept: dict[str, str | None] = {}
    with restored([client.pid for client in clients.values()]):
        if how.pinned:
            pin_to_one([client.pid for client in clients.values()], rng)
        started = clock()
        for cycle in range(-how.schedule.warmup, cycles):
            order = [name for name in clients if timed[name].error is None]
            rng.shuffle(order)
            for name in order:
                kept_in, share, round_ = keep_at[name]
                keep = round_ if (kept_in, int(share * cycles)) == (cell, cycle) else None
                digest = _burst(clients[name], timed[name], how.schedule, cycle, keep)
                if keep is not None:
                    kept[name] = digest
        took = clock() - started
    for name, digest in kept.items():
        if timed[name].error is None:
            try:
                how.check_kept(name, clients[name], digest)
            except MemberError as error:
                timed[name].error = error
    return took


def _burst(client: Client, member: Timed, schedule: Schedule, cycle: int, keep: int | None) -> str | None:
    """Run one burst and file its rounds unless it is warm-up; return the digest of the round that was kept."""
    try:
        reply = client.run(schedule.burst, schedule.calls[client.name], keep)
    except MemberError as error:
        member.error = error
        return None
    if cycle >= 0:
        member.cells[-1].append(reply.elapsed_ns)
        for span, parts in reply.spans.items():
            member.spans[span] = member.spans.get(span, 0) + sum(parts)
    member.work = reply.work
    return reply.digest
