"""The stopping rule depends on the number of cells and on precision, not on what the ratios say."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.measure.stop import HALF_WIDTH, Stop
from pytest_duet.stats.signed_rank import least_shift

RATIOS = st.lists(st.floats(-1, 1), min_size=8, max_size=8)


@pytest.mark.parametrize(
    ("decisions", "alpha", "least"),
    # The smallest n for which 2^-n is at most alpha / m, but at least eight.
    [(0, 0.01, 8), (1, 0.01, 8), (2, 0.01, 8), (3, 0.01, 9), (30, 0.01, 12), (1000, 0.01, 17)],
)
def test_a_gate_needs_enough_cells_to_be_significant_in_its_family(decisions: int, alpha: float, least: int) -> None:
    stop = Stop.of_gate(decisions, alpha)
    assert (least, alpha / max(1, decisions)) == (stop.least, stop.level)
    assert 2**-stop.least * decisions <= alpha


def test_fewer_cells_than_the_least_are_never_enough() -> None:
    assert not any(Stop().is_reached(cells, [[0.0] * cells]) for cells in range(8))


def test_the_most_cells_are_enough_however_wide_the_interval() -> None:
    assert Stop().is_reached(40, [[0.0, 1.0] * 20])


def test_the_rule_is_evaluated_at_every_fourth_cell() -> None:
    assert [8, 12, 16] == [cells for cells in range(8, 20) if Stop().is_reached(cells, [[0.0] * cells])]


def test_one_wide_interval_keeps_all_members_running() -> None:
    narrow, wide = [0.0] * 8, [0.0, 0.1] * 4
    assert Stop().is_reached(8, [narrow])
    assert not Stop().is_reached(8, [narrow, wide])


def test_a_large_ratio_may_have_a_wider_interval_but_not_in_a_gate() -> None:
    spread = [math.log(3) + 0.05 * (-1) ** index for index in range(8)]
    assert Stop().is_reached(8, [spread])
    assert not Stop.of_gate(1, 0.01).is_reached(8, [spread])


def test_a_gate_goes_on_until_it_could_alarm_among_all_its_decisions() -> None:
    def spread(cells: int) -> list[float]:
        return [NormalDist(sigma=0.024).inv_cdf((index + 0.5) / cells) for index in range(cells)]

    # Narrow enough for the interval, and for an alarm if this were the only decision.
    assert Stop().is_reached(12, [spread(12)])
    assert Stop.of_gate(1, 0.01).is_reached(12, [spread(12)])
    assert not Stop.of_gate(30, 0.01).is_reached(12, [spread(12)])
    assert Stop.of_gate(30, 0.01).is_reached(16, [spread(16)])


def test_nothing_to_compare_is_precise_enough() -> None:
    assert Stop().is_reached(8, [])


@given(RATIOS, st.floats(-2, 2))
def test_a_gate_never_stops_because_of_what_the_ratios_say(ratios: list[float], shift: float) -> None:
    gate = Stop.of_gate(1, 0.01)
    # At the limit itself, rounding decides.
    seen = least_shift(ratios, 0.01)
    assert seen is not None
    if abs(seen - 2 * HALF_WIDTH) > 1e-9:
        assert gate.is_reached(8, [ratios]) == gate.is_reached(8, [[each + shift for each in ratios]])
