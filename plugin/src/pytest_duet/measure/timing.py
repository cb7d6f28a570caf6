"""Run the rounds of a group's members in turns, so that whatever slows the machine slows all of them alike.

Not for deciding how many rounds (``schedule``), and not for telemetry: nobody looks while the clock runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_duet.errors import MemberError
from pytest_duet.measure.pinning import pin_to_one, restored
from pytest_duet.measure.schedule import LEAST_CELLS

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from pytest_duet.measure.schedule import Schedule
    from pytest_duet.workers.client import Client


@dataclass
class Timed:
    """What timing one member gave: `cells` → cycles → rounds in ns, the digest of the round that was kept, `work`.

    `spans` sums the named parts over all measured rounds, in ns.
    """

    cells: list[list[list[int]]] = field(default_factory=list)
    kept: str | None = None
    work: dict[str, int] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    error: MemberError | None = None


def time_members(
    clients: Mapping[str, Client],
    schedule: Schedule,
    *,
    budget_seconds: float,
    pinned: bool,
    rng: random.Random,
    progress: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Timed]:
    """Return the rounds of every member; one that fails keeps its error and leaves the others to go on.

    Which round's output is kept is drawn here, so that no implementation can know it.
    """
    timed = {name: Timed() for name in clients}
    keep_at = {
        name: (rng.randrange(LEAST_CELLS), rng.randrange(schedule.cycles), rng.randrange(schedule.burst))
        for name in clients
    }
    started = clock()
    with restored([client.pid for client in clients.values()]):
        for cell in range(schedule.cells):
            spent = clock() - started
            if cell >= LEAST_CELLS and spent * (cell + 1) / cell > budget_seconds:
                break
            running = [name for name in clients if timed[name].error is None]
            if pinned:
                pin_to_one([clients[name].pid for name in running], rng)
            progress(f"timing, cell {cell + 1} of {schedule.cells}")
            _cell(cell, clients, running, schedule, timed, keep_at, rng)
    return timed


def _cell(
    cell: int,
    clients: Mapping[str, Client],
    running: list[str],
    schedule: Schedule,
    timed: Mapping[str, Timed],
    keep_at: Mapping[str, tuple[int, int, int]],
    rng: random.Random,
) -> None:
    for name in running:
        timed[name].cells.append([])
    for cycle in range(-schedule.warmup, schedule.cycles):
        order = [name for name in running if timed[name].error is None]
        rng.shuffle(order)
        for name in order:
            member = timed[name]
            keep = keep_at[name][2] if keep_at[name][:2] == (cell, cycle) else None
            try:
                reply = clients[name].run(schedule.burst, schedule.calls[name], keep)
            except MemberError as error:
                member.error = error
                continue
            if cycle >= 0:
                member.cells[-1].append(reply.elapsed_ns)
                for span, parts in reply.spans.items():
                    member.spans[span] = member.spans.get(span, 0) + sum(parts)
            if keep is not None:
                member.kept = reply.digest
            member.work = reply.work
