"""The typical time of a call, and the rounds it is taken from."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.cli import main
from pytest_duet.records import store
from pytest_duet.records.summaries import summary_of_run
from pytest_duet.records.timings import IMPOSSIBLE_ROUND_NS, fault, rounds_ns, typical_call_ns, typical_log_ns
from pytest_duet.report.model import build
from pytest_duet.stats.ratio import exponential

from .samples import group, member, reference, run

if TYPE_CHECKING:
    from pathlib import Path

CELLS = st.lists(st.lists(st.lists(st.integers(1, 10**12), min_size=1, max_size=3), min_size=1, max_size=4), min_size=1)


def test_the_typical_time_is_the_median_over_cells_of_fastest_rounds_per_call() -> None:
    timed = member("native", calls_per_round=2, cells=[[[30, 20]], [[40, 50]], [[600, 900]]])
    assert typical_call_ns(timed) == pytest.approx(20)


def test_with_an_even_number_of_cells_the_logarithms_of_the_middle_two_are_averaged() -> None:
    timed = member("native", cells=[[[100]], [[400]], [[1]], [[10_000]]])
    assert typical_call_ns(timed) == pytest.approx(200)


def test_rounds_are_in_the_order_in_which_they_ran() -> None:
    assert rounds_ns(member("native", cells=[[[3, 1], [2]], [[5], [4]]])) == [3, 1, 2, 5, 4]


@pytest.mark.parametrize(
    ("cells", "calls", "expected"),
    [
        ([], 1, "not timed"),
        ([[]], 1, "a cell without rounds"),
        ([[[]]], 1, "a cell without rounds"),
        ([[[0, 1]]], 1, "a round of 0 ns"),
        ([[[-1]]], 1, "a round of -1 ns"),
        ([[[1, IMPOSSIBLE_ROUND_NS]]], 1, f"a round of {IMPOSSIBLE_ROUND_NS} ns"),
        ([[[1]]], 0, "0 calls a round"),
        ([[[1]]], 1, ""),
    ],
)
def test_invalid_rounds_have_no_typical_time(cells: list[list[list[int]]], calls: int, expected: str) -> None:
    timed = member("native", cells=cells, calls_per_round=calls)
    assert fault(timed) == expected
    assert (typical_call_ns(timed) is None) is (typical_log_ns(timed) is None) is bool(expected)


def test_the_gate_says_what_is_wrong_with_rounds() -> None:
    broken = summary_of_run(run(group(reference(), member("native", cells=[[[0]]]))), "", "")
    (found,) = (each for case, each in broken.cases.items() if case.endswith("/native"))
    assert (found.status, found.reason, found.log_ns) == ("invalid", "a round of 0 ns", None)


@given(CELLS, st.integers(1, 10**6))
def test_table_and_gate_give_one_time_to_the_last_bit(cells: list[list[list[int]]], calls: int) -> None:
    record = run(group(reference(), member("native", cells=cells, calls_per_round=calls)))
    shown = {row.member.name: row.time_ns for row in build(record).rows()}
    gated = {case.rpartition("/")[2]: each.log_ns for case, each in summary_of_run(record, "", "").cases.items()}
    for name, time_ns in shown.items():
        if time_ns is not None:
            assert time_ns == exponential(gated[name])


def test_the_json_of_a_gate_has_the_time_of_the_table_to_the_last_bit(tmp_path: Path) -> None:
    record = run(group(reference(), member("native", cells=[[[100]], [[300]], [[1]], [[10_001]]])))
    path = store.save(record, tmp_path)
    other = store.save(run(group(reference())), tmp_path)
    done = CliRunner().invoke(main, ["gate", str(path), "--baseline", str(other), "--json"])
    exported = {each["case"].rpartition("/")[2]: each["head_ns"] for each in json.loads(done.stdout)["cases"]}
    assert exported == {row.member.name: typical_call_ns(row.member) for row in build(record).rows()}
    assert exported["native"] == pytest.approx(math.sqrt(30_000))
