"""Members take turns: who runs when is drawn, one that fails leaves the others alone, and time is kept."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.errors import Crashed, MemberError
from pytest_duet.measure.schedule import LEAST_CELLS, Schedule
from pytest_duet.measure.timing import Timed, time_members

from .fakes.clients import FakeClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SCHEDULE = Schedule(calls={"a": 5, "b": 2, "c": 1}, burst=3, warmup=2, cycles=4, cells=6)


class Session:
    """One timing with what was logged."""

    def __init__(
        self,
        members: dict[str, Iterable[int | MemberError]] | None = None,
        *,
        seed: int = 0,
        budget: float = 1e9,
        clock: Callable[[], float] = float,
        pinned: bool = False,
    ) -> None:
        self.log: list[tuple[Any, ...]] = []
        self.progress: list[str] = []
        self.affinities: set[frozenset[int]] = set()
        members = members or {name: itertools.count(1) for name in "abc"}
        clients = {name: FakeClient(name, ns, log=self.log) for name, ns in members.items()}
        self.timed = time_members(
            clients,  # type: ignore[arg-type]
            SCHEDULE,
            budget_seconds=budget,
            pinned=pinned,
            rng=random.Random(seed),
            progress=self._note,
            clock=clock,
        )

    def _note(self, what: str) -> None:
        self.progress.append(what)
        self.affinities.add(frozenset(os.sched_getaffinity(0)))

    def turns(self) -> list[list[str]]:
        """Return who ran, cycle by cycle."""
        names = [entry[0] for entry in self.log]
        return [names[start : start + 3] for start in range(0, len(names), 3)]


def _until(fails_at: int, error: MemberError) -> Iterable[int | MemberError]:
    yield from range(1, fails_at + 1)
    yield error


# --- turns ------------------------------------------------------------------------------------------------------------


def test_in_every_cycle_each_member_has_one_burst() -> None:
    turns = Session().turns()
    assert SCHEDULE.cells * (SCHEDULE.warmup + SCHEDULE.cycles) == len(turns)
    assert {("a", "b", "c")} == {tuple(sorted(turn)) for turn in turns}


def test_the_order_of_a_cycle_is_drawn_anew_each_time() -> None:
    orders = Counter(map(tuple, Session().turns()))
    assert 6 == len(orders)
    assert Session(seed=1).turns() != Session(seed=2).turns()


def test_each_member_is_asked_for_its_own_number_of_calls_in_bursts() -> None:
    assert {("a", 3, 5), ("b", 3, 2), ("c", 3, 1)} == {entry[:3] for entry in Session().log}


def test_rounds_are_filed_by_cell_and_cycle_and_the_warm_up_is_not_among_them() -> None:
    session = Session()
    for timed in session.timed.values():
        assert [[3, 3, 3, 3]] * 6 == [[len(burst) for burst in cell] for cell in timed.cells]
        first = [[1 + 18 * cell + 6 + 3 * cycle for cycle in range(4)] for cell in range(6)]
        assert first == [[burst[0] for burst in cell] for cell in timed.cells]


def test_the_work_of_a_call_is_handed_on() -> None:
    assert {"a": {"samples": 5}, "b": {"samples": 2}, "c": {"samples": 1}} == {
        name: timed.work for name, timed in Session().timed.items()
    }


def test_the_parts_of_the_calls_are_summed_over_the_measured_rounds() -> None:
    for timed in Session().timed.values():
        assert {"update": sum(ns for cell in timed.cells for cycle in cell for ns in cycle)} == timed.spans


def test_progress_counts_the_cells() -> None:
    assert [f"timing, cell {cell} of 6" for cell in range(1, 7)] == Session().progress


# --- the round that is kept -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_one_measured_round_of_each_member_is_kept_and_it_is_one_that_surely_runs(seed: int) -> None:
    session = Session(seed=seed)
    for name, timed in session.timed.items():
        kept = [
            (index, entry[3])
            for index, entry in enumerate(e for e in session.log if e[0] == name)
            if entry[3] is not None
        ]
        assert 1 == len(kept)
        cell, cycle = divmod(kept[0][0], SCHEDULE.warmup + SCHEDULE.cycles)
        assert cell < LEAST_CELLS
        assert cycle >= SCHEDULE.warmup
        ns = timed.cells[cell][cycle - SCHEDULE.warmup][kept[0][1]]
        assert f"{name}:{ns}" == timed.kept


def test_which_round_is_kept_is_drawn_for_each_member() -> None:
    kept = {
        (seed, name): timed.kept.partition(":")[2]
        for seed in range(10)
        for name, timed in Session(seed=seed).timed.items()
        if timed.kept
    }
    assert len(set(kept.values())) > 15
    assert any(kept[seed, "a"] != kept[seed, "b"] for seed in range(10))


# --- failures ---------------------------------------------------------------------------------------------------------


def test_a_member_that_fails_is_not_asked_again_and_the_others_go_on_to_the_end() -> None:
    error = Crashed("gone")
    session = Session({"a": itertools.count(1), "b": _until(40, error), "c": itertools.count(1)})
    assert error is session.timed["b"].error
    # 13 whole bursts, and the one that failed.
    assert {"a": 36, "b": 14, "c": 36} == Counter(entry[0] for entry in session.log)
    for name in "ac":
        assert (None, 6) == (session.timed[name].error, len(session.timed[name].cells))


def test_a_failure_in_the_warm_up_is_a_failure() -> None:
    session = Session({"a": itertools.count(1), "b": _until(0, Crashed("gone"))})
    assert "gone" == str(session.timed["b"].error)
    assert [[]] == session.timed["b"].cells


def test_if_all_fail_there_is_an_end() -> None:
    session = Session({"a": _until(0, Crashed("x")), "b": _until(0, Crashed("y"))}, pinned=True)
    assert 2 == len(session.log)
    assert {"x", "y"} == {str(timed.error) for timed in session.timed.values()}


def test_what_is_no_members_fault_goes_through() -> None:
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
    # A cell takes 10 s of this clock. After n of them, one more is begun if n + 1 fit.
    [(1e9, 6), (60.0, 6), (59.0, 5), (50.0, 5), (45.0, 4), (0.001, 4)],
)
def test_the_budget_ends_the_timing_at_a_whole_cell_and_never_before_four(budget: float, cells: int) -> None:
    readings = itertools.chain([0.0], itertools.count(0.0, 10.0))
    session = Session(budget=budget, clock=readings.__next__)
    assert dict.fromkeys("abc", cells) == {name: len(timed.cells) for name, timed in session.timed.items()}


# --- processors -------------------------------------------------------------------------------------------------------


def test_pinned_members_share_one_processor_drawn_for_each_cell() -> None:
    before = os.sched_getaffinity(0)
    session = Session(seed=3, pinned=True)
    assert {1} == {len(each) for each in session.affinities}
    assert before == os.sched_getaffinity(0)


def test_members_that_need_several_processors_keep_them() -> None:
    assert {frozenset(os.sched_getaffinity(0))} == Session(pinned=False).affinities


def test_a_timing_of_nobody_is_empty() -> None:
    found: dict[str, Timed] = time_members(
        {},
        SCHEDULE,
        budget_seconds=1.0,
        pinned=True,
        rng=random.Random(0),
        progress=lambda _: None,
    )
    assert {} == found
