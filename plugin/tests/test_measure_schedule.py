"""The schedule has its properties for any set of calls and any budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.defaults import ENOUGH_CELLS
from pytest_duet.measure.schedule import (
    ALIKE,
    BURST_ROUNDS,
    MAX_CYCLES,
    MAX_TARGET_ROUND_NS,
    MIN_CYCLES,
    MIN_TARGET_ROUND_NS,
    WARMUP_CYCLES,
    Schedule,
    make_schedule,
)

CALLS = st.dictionaries(st.sampled_from("abcdef"), st.floats(50, 1e11), min_size=1)
BUDGETS = st.floats(0.5, 300)


def _schedule(seconds: float, most: dict[str, int | None] | None = None, **call_ns: float) -> Schedule:
    return make_schedule(call_ns, group_seconds=seconds, most_calls=most or {})


def _cycle_ns(schedule: Schedule, call_ns: dict[str, float]) -> float:
    return sum(schedule.calls[name] * call_ns[name] * schedule.burst for name in call_ns)


@given(CALLS, BUDGETS)
def test_a_round_is_as_close_to_the_common_length_as_an_integer_of_calls_can_be(
    call_ns: dict[str, float], seconds: float
) -> None:
    schedule = _schedule(seconds, **call_ns)
    wanted = min(max(*call_ns.values(), MIN_TARGET_ROUND_NS), MAX_TARGET_ROUND_NS)
    assert call_ns.keys() == schedule.calls.keys()
    for name, ns in call_ns.items():
        calls = schedule.calls[name]
        assert calls >= 1
        assert calls == 1 or abs(calls * ns - wanted) <= ns / 2 * (1 + 1e-9)


@given(CALLS, BUDGETS)
def test_cycles_stay_within_their_bounds(call_ns: dict[str, float], seconds: float) -> None:
    schedule = _schedule(seconds, **call_ns)
    assert (1 if schedule.burst == 1 else MIN_CYCLES) <= schedule.cycles <= MAX_CYCLES
    assert schedule.burst in {1, BURST_ROUNDS}
    assert ENOUGH_CELLS == schedule.cells


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(1e3, 2e7), min_size=1), BUDGETS)
def test_all_cells_fit_the_budget_unless_they_cannot_shrink_further(call_ns: dict[str, float], seconds: float) -> None:
    schedule = _schedule(seconds, **call_ns)
    total_ns = schedule.cells * (schedule.warmup + schedule.cycles) * _cycle_ns(schedule, call_ns)
    least = 1 if schedule.warmup == 0 else MIN_CYCLES
    assert least == schedule.cycles or total_ns <= seconds * 1e9 * (1 + 1e-9)


@given(CALLS, BUDGETS, BUDGETS)
def test_more_time_never_means_fewer_cycles(call_ns: dict[str, float], one: float, other: float) -> None:
    less, more = sorted([one, other])
    assert _schedule(less, **call_ns).cycles <= _schedule(more, **call_ns).cycles


@given(CALLS, st.integers(1, 5))
def test_no_member_gets_more_calls_than_it_allows(call_ns: dict[str, float], most: int) -> None:
    first = next(iter(call_ns))
    free, held = _schedule(8, **call_ns), _schedule(8, {first: most}, **call_ns)
    assert min(free.calls[first], most) == held.calls[first]
    assert {n: c for n, c in free.calls.items() if n != first} == {n: c for n, c in held.calls.items() if n != first}


@pytest.mark.parametrize(
    ("call_ns", "calls", "burst", "warmup"),
    [
        ({"a": 1e3, "b": 2e3}, {"a": 1000, "b": 500}, 3, 2),
        ({"a": 1e3, "b": 2e6}, {"a": 2000, "b": 1}, 3, 2),
        ({"a": 1e5, "b": 4.9e6}, {"a": 49, "b": 1}, 3, 2),
        ({"a": 1e5, "b": 9e6}, {"a": 50, "b": 1}, 1, 1),
        ({"a": 1e12}, {"a": 1}, 1, 0),
    ],
)
def test_short_calls_fill_a_round_and_a_long_call_is_a_round(
    call_ns: dict[str, float], calls: dict[str, int], burst: int, warmup: int
) -> None:
    schedule = _schedule(8, **call_ns)
    assert (calls, burst, warmup) == (schedule.calls, schedule.burst, schedule.warmup)


def test_short_calls_get_the_most_cycles() -> None:
    assert MAX_CYCLES == _schedule(8, a=1e3, b=1e6).cycles


def test_calls_longer_than_the_budget_get_one_cycle() -> None:
    assert 1 == _schedule(1, a=1e10).cycles


def test_one_slow_member_does_not_cost_the_others_their_cells() -> None:
    schedule = _schedule(60, fast=1e8, slow=4.5e9)
    assert (1, 0) == (schedule.cycles, schedule.warmup)
    assert schedule.cells * 4.6 < 60


def test_fresh_processes_warm_up_for_as_many_calls_as_they_need() -> None:
    def warmup(after: int, *, fresh: bool) -> int:
        needed = {"a": after, "b": 0}
        calls = {"a": 1e6, "b": 1e6}
        return make_schedule(calls, group_seconds=8, most_calls={}, fresh=fresh, warm_after=needed).warmup

    assert warmup(0, fresh=True) == WARMUP_CYCLES
    assert warmup(30, fresh=True) == 10
    assert warmup(10**6, fresh=True) == MAX_CYCLES
    assert warmup(30, fresh=False) == WARMUP_CYCLES


@given(CALLS, BUDGETS, st.integers(0, 10**6))
def test_a_longer_warm_up_does_not_exceed_the_budget(call_ns: dict[str, float], seconds: float, after: int) -> None:
    cold = make_schedule(call_ns, group_seconds=seconds, most_calls={}, fresh=True)
    warm = make_schedule(
        call_ns, group_seconds=seconds, most_calls={}, fresh=True, warm_after=dict.fromkeys(call_ns, after)
    )
    total_ns = warm.cells * (warm.warmup + warm.cycles) * _cycle_ns(warm, call_ns)
    assert cold.warmup <= warm.warmup
    assert warm.cycles in {1, MIN_CYCLES} or total_ns <= seconds * 1e9 * (1 + 1e-9)


@given(st.floats(50, 1e9), st.floats(1, 5), st.none() | st.integers(1, 50))
def test_members_of_a_pair_get_the_same_number_of_calls_unless_their_calls_differ_much(
    ns: float, slower: float, most: int | None
) -> None:
    call_ns = {"base": ns, "head": ns * slower}
    paired = make_schedule(call_ns, group_seconds=8, most_calls={"base": most}, pairs=[("head", "base")])
    apart = make_schedule(call_ns, group_seconds=8, most_calls={"base": most})
    if call_ns["head"] < ALIKE * ns:
        assert paired.calls["base"] == paired.calls["head"] == min(apart.calls.values())
    else:
        assert paired == apart


def test_two_builds_get_the_same_number_of_calls_whatever_the_estimates() -> None:
    calls = make_schedule(
        {"base": 3e5, "head": 1e6}, group_seconds=8, most_calls={}, pairs=[("head", "base")], alike=math.inf
    ).calls
    assert {"base": 1, "head": 1} == calls


def test_members_close_to_the_same_member_get_the_same_number_of_calls() -> None:
    call_ns = {"reference": 3e5, "near": 2.4e5, "nearer": 3.4e5, "far": 1e5, "context": 3.1e5}
    pairs = [(name, "reference") for name in ("near", "nearer", "far")]
    calls = make_schedule(call_ns, group_seconds=8, most_calls={}, pairs=pairs).calls
    assert {"reference": 3, "near": 3, "nearer": 3, "far": 10, "context": 3} == calls
