"""Members take turns in random order, one that fails does not stop the others, and the budget holds."""

from __future__ import annotations

import itertools
import math
import os
import random
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.defaults import ALPHA, FEWEST_CELLS
from pytest_duet.errors import Crashed, MemberError, Refused
from pytest_duet.measure.schedule import MIN_CYCLES, Schedule
from pytest_duet.measure.stop import HALF_WIDTH, Stop
from pytest_duet.measure.timing import Timing, persistent_workers, time_members
from pytest_duet.stats.signed_rank import least_shift

from .fakes.clients import FakeClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCHEDULE = Schedule(calls={"a": 5, "b": 2, "c": 1}, burst=3, warmup=2, cycles=4, cells=6)


SIX = Stop(least=6)


class Session:
    """One call of `time_members`, and what it logged."""

    def __init__(
        self,
        members: dict[str, Iterable[int | MemberError]] | None = None,
        *,
        seed: int = 0,
        budget: float = 1e9,
        clock: Callable[[], float] = float,
        pinned: bool = False,
        stop: Stop = SIX,
        pairs: Sequence[tuple[str, str]] = (),
        refused: Sequence[str] = (),
        schedule: Schedule = SCHEDULE,
    ) -> None:
        self.refused = refused
        self.log: list[tuple[Any, ...]] = []
        self.progress: list[str] = []
        self.affinities: set[frozenset[int]] = set()
        members = {name: itertools.count(1) for name in "abc"} if members is None else members
        self._clock = clock
        clients = {name: FakeClient(name, ns, log=self.log) for name, ns in members.items()}
        self.kept: dict[str, str | None] = {}
        timing = Timing(
            schedule=schedule,
            stop=stop,
            pairs=pairs,
            budget_seconds=budget,
            pinned=pinned,
            check_kept=self._check_kept,
            progress=self._note,
        )
        provider = partial(persistent_workers, clients)
        self.timed = time_members(provider, list(clients), timing, random.Random(seed), self._read)  # type: ignore[arg-type]

    def _check_kept(self, name: str, client: Any, digest: str | None) -> None:
        assert client.name == name
        assert name not in self.kept
        self.kept[name] = digest
        if digest in self.refused:
            raise Refused("another answer")

    def _note(self, what: str) -> None:
        self.progress.append(what)

    def _read(self) -> float:
        self.affinities.add(frozenset(os.sched_getaffinity(0)))
        return self._clock()

    def turns(self) -> list[list[str]]:
        """Return the members in the order in which they ran, cycle by cycle."""
        names = [entry[0] for entry in self.log]
        return [names[start : start + 3] for start in range(0, len(names), 3)]


def _until(fails_at: int, error: MemberError) -> Iterable[int | MemberError]:
    yield from range(1, fails_at + 1)
    yield error


# --- turns ------------------------------------------------------------------------------------------------------------


def test_each_member_has_one_burst_in_every_cycle() -> None:
    turns = Session().turns()
    assert SCHEDULE.cells * (SCHEDULE.warmup + SCHEDULE.cycles) == len(turns)
    assert {("a", "b", "c")} == {tuple(sorted(turn)) for turn in turns}


def test_the_order_is_drawn_anew_for_each_cycle() -> None:
    orders = Counter(map(tuple, Session().turns()))
    assert 6 == len(orders)
    assert Session(seed=1).turns() != Session(seed=2).turns()


def test_each_member_runs_bursts_with_its_own_number_of_calls() -> None:
    assert {("a", 3, 5), ("b", 3, 2), ("c", 3, 1)} == {entry[:3] for entry in Session().log}


def test_rounds_are_stored_by_cell_and_cycle_without_the_warm_up() -> None:
    session = Session()
    for timed in session.timed.values():
        assert [[3, 3, 3, 3]] * 6 == [[len(burst) for burst in cell] for cell in timed.cells]
        first = [[1 + 18 * cell + 6 + 3 * cycle for cycle in range(4)] for cell in range(6)]
        assert first == [[burst[0] for burst in cell] for cell in timed.cells]


def test_the_work_of_a_call_is_returned() -> None:
    assert {"a": {"samples": 5}, "b": {"samples": 2}, "c": {"samples": 1}} == {
        name: timed.work for name, timed in Session().timed.items()
    }


def test_spans_are_summed_over_the_measured_rounds() -> None:
    for timed in Session().timed.values():
        assert {"update": sum(ns for cell in timed.cells for cycle in cell for ns in cycle)} == timed.spans


def test_progress_counts_the_cells() -> None:
    assert [f"timing, cell {cell} of 6" for cell in range(1, 7)] == Session().progress


# --- the round that is kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_one_measured_round_of_each_member_is_kept_in_the_cells_that_always_run(seed: int) -> None:
    session = Session(seed=seed)
    for name, timed in session.timed.items():
        kept = [
            (index, entry[3])
            for index, entry in enumerate(e for e in session.log if e[0] == name)
            if entry[3] is not None
        ]
        assert 1 == len(kept)
        cell, cycle = divmod(kept[0][0], SCHEDULE.warmup + SCHEDULE.cycles)
        assert cell < FEWEST_CELLS
        assert cycle >= SCHEDULE.warmup
        ns = timed.cells[cell][cycle - SCHEDULE.warmup][kept[0][1]]
        assert f"{name}:{ns}" == session.kept[name]


def test_the_kept_round_is_drawn_for_each_member() -> None:
    kept = {
        (seed, name): digest.partition(":")[2]
        for seed in range(10)
        for name, digest in Session(seed=seed).kept.items()
        if digest
    }
    assert len(set(kept.values())) > 15
    assert any(kept[seed, "a"] != kept[seed, "b"] for seed in range(10))


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_member_that_fails_is_not_run_again_and_the_others_go_on() -> None:
    error = Crashed("gone")
    session = Session({"a": itertools.count(1), "b": _until(40, error), "c": itertools.count(1)})
    assert error is session.timed["b"].error
    # 13 complete bursts, and the one that failed.
    assert {"a": 36, "b": 14, "c": 36} == Counter(entry[0] for entry in session.log)
    for name in "ac":
        assert (None, 6) == (session.timed[name].error, len(session.timed[name].cells))


def test_a_failure_in_the_warm_up_counts() -> None:
    session = Session({"a": itertools.count(1), "b": _until(0, Crashed("gone"))})
    assert "gone" == str(session.timed["b"].error)
    assert [[]] == session.timed["b"].cells


def test_timing_ends_if_all_members_fail() -> None:
    session = Session({"a": _until(0, Crashed("x")), "b": _until(0, Crashed("y"))}, pinned=True)
    assert 2 == len(session.log)
    assert {"x", "y"} == {str(timed.error) for timed in session.timed.values()}


def test_an_interrupt_is_raised_and_the_affinity_restored() -> None:
    def interrupted() -> Iterable[int]:
        yield from range(1, 10)
        raise KeyboardInterrupt

    before = os.sched_getaffinity(0)
    with pytest.raises(KeyboardInterrupt):
        Session({"a": interrupted()}, pinned=True)
    assert before == os.sched_getaffinity(0)


# --- budget -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "cells"),
    # A cell takes 10 s of this clock. After n cells another one starts if n + 1 fit.
    [(1e9, 6), (60.0, 6), (59.0, 5), (50.0, 5), (45.0, 4), (0.001, 4)],
)
def test_the_budget_ends_timing_after_a_complete_cell_but_not_before_four(budget: float, cells: int) -> None:
    readings = itertools.chain.from_iterable((10.0 * cell, 10.0 * cell + 10.0) for cell in itertools.count())
    session = Session(budget=budget, clock=readings.__next__)
    assert dict.fromkeys("abc", cells) == {name: len(timed.cells) for name, timed in session.timed.items()}


def test_an_imprecise_gate_takes_more_seconds_than_planned() -> None:
    def cells(stop: Stop) -> int:
        readings = itertools.chain.from_iterable((10.0 * cell, 10.0 * cell + 10.0) for cell in itertools.count())
        members = {"a": itertools.repeat(1_000_000), "b": _disturbed(1000)}
        session = Session(members, stop=stop, pairs=[("b", "a")], budget=80.0, clock=readings.__next__)
        return len(session.timed["a"].cells)

    assert (8, 24) == (cells(Stop()), cells(Stop.of_gate(1, ALPHA)))


@pytest.mark.parametrize(("slower", "shrunk"), [(1.0, False), (1.4, True), (2.5, True)])
def test_cells_get_fewer_cycles_on_a_machine_that_got_slower(slower: float, *, shrunk: bool) -> None:
    schedule = Schedule(calls={"a": 1, "b": 1}, burst=3, warmup=2, cycles=20, cells=8)
    log: list[int] = []

    def rounds() -> Iterable[int]:
        for number in itertools.count(1):
            log.append(number)
            yield number

    # A cycle takes a second. The budget is a little more than eight complete cells.
    session = Session(
        {"a": rounds(), "b": itertools.count(1)},
        budget=8 * 22 * 1.1,
        clock=lambda: slower * len(log) / 3,
        stop=Stop(least=8, most=8),
        schedule=schedule,
    )

    cycles = [len(cell) for cell in session.timed["a"].cells]
    assert len(cycles) == 8
    assert cycles == [len(cell) for cell in session.timed["b"].cells]
    assert (min(cycles) < 20, cycles[0]) == (shrunk, 20)
    assert min(cycles) >= MIN_CYCLES
    assert set(session.kept) == {"a", "b"}


# --- CPUs -------------------------------------------------------------------------------------------------------------


def test_pinned_members_share_one_cpu_drawn_for_each_cell() -> None:
    before = os.sched_getaffinity(0)
    session = Session(seed=3, pinned=True)
    assert {1} == {len(each) for each in session.affinities}
    assert len(before) == 1 or len(session.affinities) > 1
    assert before == os.sched_getaffinity(0)


def test_members_that_are_not_pinned_keep_their_cpus() -> None:
    assert {frozenset(os.sched_getaffinity(0))} == Session(pinned=False).affinities


def test_timing_without_members_is_empty() -> None:
    assert {} == Session({}).timed


# --- the kept output is checked ---------------------------------------------------------------------------------------


def test_a_wrong_kept_output_fails_only_its_member() -> None:
    right = Session(seed=5)
    wrong = Session(seed=5, refused=[right.kept["b"] or ""])
    assert {"a": None, "b": "another answer", "c": None} == {
        name: timed.error and str(timed.error) for name, timed in wrong.timed.items()
    }


# --- precision --------------------------------------------------------------------------------------------------------


def _disturbed(cells: int) -> Iterable[int]:
    """Yield rounds that alternate between two lengths from cell to cell in the first `cells` cells, and are equal afterwards."""
    of_a_cell = SCHEDULE.burst * (SCHEDULE.warmup + SCHEDULE.cycles)
    for cell in itertools.count():
        yield from [1_000_000 * (2 if cell < cells and cell % 2 else 1)] * of_a_cell


def test_cells_are_added_in_fours_until_the_interval_is_narrow() -> None:
    steady = itertools.repeat(1_000_000)
    session = Session({"a": steady, "b": _disturbed(6)}, stop=Stop.of_gate(1, ALPHA), pairs=[("b", "a")])
    ratios = [math.log(2) * (cell < 6 and cell % 2) for cell in range(40)]
    wanted = next(n for n in range(8, 40, 4) if least_shift(ratios[:n], ALPHA) <= 2 * HALF_WIDTH)
    assert wanted > 8
    assert {wanted} == {len(timed.cells) for timed in session.timed.values()}


def test_timing_that_never_gets_precise_ends_at_the_most_cells() -> None:
    session = Session(
        {"a": itertools.repeat(1_000_000), "b": _disturbed(1000)}, stop=Stop(least=8, most=20), pairs=[("b", "a")]
    )
    assert {20} == {len(timed.cells) for timed in session.timed.values()}


def test_the_least_cells_are_enough_if_the_ratio_is_precise() -> None:
    members = {"a": itertools.repeat(1_000_000), "b": itertools.repeat(3_000_000)}
    session = Session(members, stop=Stop(least=8), pairs=[("b", "a")])
    assert {8} == {len(timed.cells) for timed in session.timed.values()}
