"""When there are enough cells: the least, the most, and the precision between them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.measure.stop import HALF_WIDTH, Stop

RATIOS = st.lists(st.floats(-1, 1), min_size=8, max_size=8)


@pytest.mark.parametrize(
    ("decisions", "alpha", "least"),
    # The smallest n whose 2^-n is at most alpha / m, and never fewer than eight.
    [(0, 0.01, 8), (1, 0.01, 8), (2, 0.01, 8), (3, 0.01, 9), (30, 0.01, 12), (1000, 0.01, 17)],
)
def test_a_gate_needs_as_many_cells_as_could_be_significant_in_its_family(
    decisions: int, alpha: float, least: int
) -> None:
    stop = Stop.of_gate(decisions, alpha)
    assert (least, 0.0) == (stop.least, stop.share)
    assert 2**-stop.least * decisions <= alpha


def test_below_the_least_nothing_is_enough() -> None:
    assert not any(Stop().is_reached(cells, [[0.0] * cells]) for cells in range(8))


def test_the_most_is_enough_however_wide() -> None:
    assert Stop().is_reached(40, [[0.0, 1.0] * 20])


def test_it_looks_at_every_fourth_cell_only() -> None:
    assert [8, 12, 16] == [cells for cells in range(8, 20) if Stop().is_reached(cells, [[0.0] * cells])]


def test_one_wide_interval_keeps_all_going() -> None:
    narrow, wide = [0.0] * 8, [0.0, 0.1] * 4
    assert Stop().is_reached(8, [narrow])
    assert not Stop().is_reached(8, [narrow, wide])


def test_a_large_ratio_may_be_wider_across_languages_and_not_in_a_gate() -> None:
    spread = [math.log(3) + 0.05 * (-1) ** index for index in range(8)]
    assert Stop().is_reached(8, [spread])
    assert not Stop.of_gate(1, 0.01).is_reached(8, [spread])


def test_nothing_to_compare_is_precise() -> None:
    assert Stop().is_reached(8, [])


@given(RATIOS, st.floats(-2, 2))
def test_a_gate_never_stops_because_of_what_the_ratios_say(ratios: list[float], shift: float) -> None:
    gate = Stop.of_gate(1, 0.01)
    # Rounding may decide where the width lies exactly at the limit.
    spread = (max(ratios) - min(ratios)) / 2
    if abs(spread - HALF_WIDTH) > 1e-9:
        assert gate.is_reached(8, [ratios]) == gate.is_reached(8, [[each + shift for each in ratios]])
