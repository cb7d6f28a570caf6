"""What the rounds of one member say: all of them in a row, what is wrong with them, and the typical time of a call."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.ratio import cell_log_times, exponential

if TYPE_CHECKING:
    from pytest_duet.records.schema import MemberRecord

IMPOSSIBLE_ROUND_NS: Final = 2**63
"""No round takes this long: almost 300 years."""

NOT_TIMED: Final = "not timed"


def rounds_ns(member: MemberRecord) -> list[int]:
    """Return all rounds of `member` in the order in which they ran, in ns."""
    return [ns for cell in member.cells for burst in cell for ns in burst]


def fault(member: MemberRecord) -> str:
    """Return why no time can be taken from the rounds of `member`, empty where one can."""
    if member.calls_per_round < 1:
        return f"{member.calls_per_round} calls a round"
    if not member.cells:
        return NOT_TIMED
    if not all(cell and all(cell) for cell in member.cells):
        return "a cell without rounds"
    rounds = rounds_ns(member)
    wrong = [ns for ns in (min(rounds), max(rounds)) if not 0 < ns < IMPOSSIBLE_ROUND_NS]
    return f"a round of {wrong[0]} ns" if wrong else ""


def typical_log_ns(member: MemberRecord) -> float | None:
    """Return the logarithm of the ns that a call typically takes, None where `fault` finds one.

    It is the median over cells of what `cell_log_times` returns: the mean of the middle two where their number is even.
    """
    return None if fault(member) else statistics.median(cell_log_times(member.cells, member.calls_per_round))


def typical_call_ns(member: MemberRecord) -> float | None:
    """Return the ns that a call typically takes, None where `fault` finds one."""
    log_ns = typical_log_ns(member)
    return None if log_ns is None else exponential(log_ns)
