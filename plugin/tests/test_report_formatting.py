"""The lines about the work of a call and its parts."""

from __future__ import annotations

from pytest_duet.report import formatting, model

from . import samples


def _details(**changes: object) -> list[str]:
    """Return the detail lines of a member whose every round is two calls of 1 ms."""
    rounds = [[[2_000_000, 2_000_000]] * 3] * 8
    run = samples.run(samples.group(samples.reference(cells=rounds, calls_per_round=2, **changes)))
    (row,) = model.build(run).rows()
    return list(formatting.details(row))


def test_the_work_of_a_call_has_its_time_and_rate() -> None:
    assert "work of a call: 4 steps, 250 us each (4.00 k/s); 0 tokens" in _details(work={"steps": 4, "tokens": 0})


def test_the_parts_of_a_call_have_their_share_of_all_rounds() -> None:
    # 48 rounds of 2 ms, of which a quarter is updates.
    assert "parts of a call: update 250 us (25 %)" in _details(spans={"update": 48 * 500_000})


def test_without_work_and_parts_there_are_no_such_lines() -> None:
    assert not [line for line in _details() if "of a call" in line]
