"""Run the rounds of a group's members in turns, so that whatever slows the machine slows all members alike.

``schedule`` and ``stop`` decide how many rounds there are. Nothing is observed while the clock runs.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import FEWEST_CELLS
from pytest_duet.errors import MemberError
from pytest_duet.measure.pinning import pin_to_one, restored
from pytest_duet.measure.schedule import MIN_CYCLES
from pytest_duet.stats.ratio import cell_log_ratios

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.binding.member import Member
    from pytest_duet.measure.schedule import Schedule
    from pytest_duet.measure.stop import Stop
    from pytest_duet.workers.client import Client
    from pytest_duet.workers.spawner import Spawner

    # The worker of each member in one cell, or the error why it has none.
    Workers = dict[str, Client | MemberError]

RESERVE: Final = 0.1
"""The share of the remaining budget that is left unplanned, in case the machine gets slower."""


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


@contextmanager
def persistent_workers(clients: Mapping[str, Client], names: Sequence[str]) -> Iterator[Workers]:
    """Provide the same `clients` in every cell."""
    yield {name: clients[name] for name in names}


@contextmanager
def fresh_workers(
    members: Mapping[str, Member],
    group: BoundGroup,
    files: DataSet,
    spawner: Spawner,
    rng: random.Random,
    names: Sequence[str],
) -> Iterator[Workers]:
    """Provide new processes for a cell: started in random order, prepared, checked to be the same build, closed at its end."""
    workers: Workers = {}
    order = list(names)
    rng.shuffle(order)
    try:
        for name in order:
            try:
                workers[name] = members[name].launch_fresh(group, files, spawner)
            except MemberError as error:
                workers[name] = error
        yield workers
    finally:
        for name, client in workers.items():
            if not isinstance(client, MemberError):
                client.close()
                members[name].left_behind += client.left_behind


def time_members(
    provider: Callable[[Sequence[str]], AbstractContextManager[Workers]],
    names: Sequence[str],
    timing: Timing,
    rng: random.Random,
    clock: Callable[[], float] = time.monotonic,
) -> dict[str, Timed]:
    """Return the times of every member. If one fails, its error is returned with its times, and the others go on.

    `provider` returns a context with the workers of the members it gets, ready to run one cell. The round whose output is
    kept is drawn here, so that no implementation can know it. The budget is for rounds: starting processes does not
    count. If the machine is slower than it was when the schedule was made, later cells get fewer cycles, so that there
    are still enough cells to decide.
    """
    turns = _Turns(names, timing, rng, clock)
    while not turns.are_enough() and (running := turns.running(names)):
        cell = len(turns.cell_seconds) + 1
        timing.progress(f"timing, cell {cell} of {max(timing.stop.least, cell)}")
        with provider(running) as workers:
            turns.run_cell(workers)
    return turns.timed


class _Turns:
    """The cells that have been run so far."""

    def __init__(self, names: Sequence[str], timing: Timing, rng: random.Random, clock: Callable[[], float]) -> None:
        self._timing, self._schedule, self._rng, self._clock = timing, timing.schedule, rng, clock
        self.timed = {name: Timed() for name in names}
        self.cell_seconds: list[float] = []
        self._all_cycles = 0
        # The round to keep: its cell (one that always runs), its position in the measured cycles from 0 to 1, and its
        # number in the burst.
        self._keep_at = {
            name: (rng.randrange(FEWEST_CELLS), rng.random(), rng.randrange(timing.schedule.burst)) for name in names
        }

    def running(self, names: Sequence[str]) -> list[str]:
        """Return those of `names` that have not failed."""
        return [name for name in names if self.timed[name].error is None]

    def are_enough(self) -> bool:
        """Return whether the ratios are precise enough, or the budget is spent."""
        cells, stop = len(self.cell_seconds), self._timing.stop
        budget = self._timing.budget_seconds * stop.patience
        if cells >= FEWEST_CELLS and sum(self.cell_seconds) + self.cell_seconds[-1] > budget:
            return True
        calls, timed = self._schedule.calls, self.timed
        log_ratios = (
            cell_log_ratios(timed[name].cells, calls[name], timed[other].cells, calls[other])
            for name, other in self._timing.pairs
            if timed[name].error is None and timed[other].error is None
        )
        return stop.is_reached(cells, log_ratios)

    def _next_cycles(self) -> int:
        """Return how many cycles the next cell has: as planned, or fewer if the missing cells would not fit otherwise."""
        planned, missing = self._schedule.cycles, self._timing.stop.least - len(self.cell_seconds)
        spent = sum(self.cell_seconds)
        if missing <= 0 or not spent:
            return planned
        seconds_per_cell = (1 - RESERVE) * (self._timing.budget_seconds - spent) / missing
        affordable = int(seconds_per_cell / (spent / self._all_cycles)) - self._schedule.warmup
        return min(planned, max(min(planned, MIN_CYCLES), affordable))

    def run_cell(self, workers: Workers) -> None:
        """Run one cell, and check the outputs that were kept in it."""
        clients: dict[str, Client] = {}
        for name, client in workers.items():
            self.timed[name].cells.append([])
            if isinstance(client, MemberError):
                self.timed[name].error = client
            else:
                clients[name] = client
        cell, cycles = len(self.cell_seconds), self._next_cycles()
        kept: dict[str, str | None] = {}
        pids = [client.pid for client in clients.values()]
        with restored(pids):
            if self._timing.pinned:
                pin_to_one(pids, self._rng)
            started = self._clock()
            for cycle in range(-self._schedule.warmup, cycles):
                order = self.running(list(clients))
                self._rng.shuffle(order)
                for name in order:
                    kept_cell, position, kept_round = self._keep_at[name]
                    keep = kept_round if (kept_cell, int(position * cycles)) == (cell, cycle) else None
                    digest = self._run_burst(clients[name], cycle, keep)
                    if keep is not None:
                        kept[name] = digest
            self.cell_seconds.append(self._clock() - started)
        self._all_cycles += self._schedule.warmup + cycles
        for name in self.running(list(kept)):
            try:
                self._timing.check_kept(name, clients[name], kept[name])
            except MemberError as error:
                self.timed[name].error = error

    def _run_burst(self, client: Client, cycle: int, keep: int | None) -> str | None:
        """Run one burst and store its rounds, except in warm-up (`cycle` below 0); return the digest of the kept output."""
        member = self.timed[client.name]
        try:
            reply = client.run(self._schedule.burst, self._schedule.calls[client.name], keep)
        except MemberError as error:
            member.error = error
            return None
        if cycle >= 0:
            member.cells[-1].append(reply.elapsed_ns)
            for span, rounds_ns in reply.spans.items():
                member.spans[span] = member.spans.get(span, 0) + sum(rounds_ns)
        member.work = reply.work
        return reply.digest
