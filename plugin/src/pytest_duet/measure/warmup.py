"""Warm each member up until its times are steady, and estimate how long one call takes. These rounds are discarded."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import Skipped
from pytest_duet.measure.schedule import BURST_ROUNDS, MAX_TARGET_ROUND_NS, MIN_TARGET_ROUND_NS
from pytest_duet.stats.changepoint import steady_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.binding.live_group import LiveGroup
    from pytest_duet.workers.client import Client

LONGEST_CALL_NS: Final = 100e6
"""A longer call needs no warm-up beyond the calls that checked and estimated it."""
PILOT_ROUNDS: Final = 30
PILOT_NS: Final = 1e9
PATIENCE_NS: Final = 5e9
"""A member whose times are not steady after rounds of this length in total is flagged."""
EXTRA: Final = 0.2
"""The share of calls, relative to those before the last change, that is discarded after it."""
_MAX_POINTS: Final = 100
_MAX_ATTEMPTS: Final = 8


@dataclass(frozen=True)
class WarmUp:
    """A member is warm after `calls` calls, and a call takes `call_ns` from then on; `settled` is False if it never was."""

    call_ns: float
    calls: int = 0
    settled: bool = True


def estimate_calls(live: LiveGroup) -> None:
    """Estimate the call of every member that is ok and has no estimate yet; skip rivals that are too slow for the budget."""
    budget = live.spec.budget
    for name, member in live.ready().items():
        if member.call_ns:
            continue
        assert member.first_call_ns is not None
        assert member.client is not None
        live.progress(f"estimating {name}")
        with live.blaming(member):
            member.call_ns = member.pilot_ns(member.first_call_ns)
            # Without the reference's time there is nothing to be too slow against.
            beside_reference = (live.reference.call_ns or math.inf) * budget.call_cap_ratio
            if member is not live.reference and member.call_ns > max(budget.call_cap_seconds * 1e9, beside_reference):
                raise Skipped(
                    f"too slow: {member.call_ns / 1e9:.3g} s a call, the cap of profile {live.spec.profile} is "
                    f"{budget.call_cap_seconds:g} s or {budget.call_cap_ratio:g} times the reference; "
                    "parity was checked, choose a larger profile to time it"
                )
            live.progress(f"warming {name} up")
            warm = warm_up(member.client, member.call_ns, member.most_calls)
            member.call_ns, member.warm_after, member.settled = warm.call_ns, warm.calls, warm.settled
    live.require_reference()


def warm_up(client: Client, call_ns: float, most_calls: int | None = None) -> WarmUp:
    """Run rounds until their times are steady, for at most `PATIENCE_NS`; a call takes about `call_ns`.

    The pilot is `PILOT_ROUNDS` rounds, or as many as take `PILOT_NS`; each further attempt doubles the rounds. A member
    whose call is longer than `LONGEST_CALL_NS` is not run. Without the package ruptures, every pilot counts as steady.

    Raises:
        MemberError: the worker fails.
    """
    if call_ns > LONGEST_CALL_NS:
        return WarmUp(call_ns)
    calls = max(1, min(most_calls or sys.maxsize, round(MIN_TARGET_ROUND_NS / call_ns)))
    round_ns = calls * call_ns
    rounds: list[int] = []
    more = min(PILOT_ROUNDS, math.ceil(PILOT_NS / round_ns))
    for _ in range(_MAX_ATTEMPTS):
        rounds += client.run(more, calls).elapsed_ns
        start = _settled_at(rounds, 1 if round_ns > MAX_TARGET_ROUND_NS else BURST_ROUNDS)
        if start is not None:
            # A member that got slower was not warming up: either the machine slowed it, or it stays slow.
            warming = start > 0 and min(rounds[:start]) > min(rounds[start:])
            needed = math.ceil(start * (1 + EXTRA)) * calls if warming else 0
            return WarmUp(max(1, min(rounds[start:])) / calls, needed)
        left = PATIENCE_NS - sum(rounds)
        if left <= 0:
            break
        more = max(1, min(len(rounds), math.ceil(left / round_ns)))
    return WarmUp(max(1, min(rounds)) / calls, len(rounds) * calls, settled=False)


def _settled_at(rounds: Sequence[int], burst: int) -> int | None:
    """Return the first round after the last change, or None if the times are not steady.

    Of each `burst` rounds only the fastest counts, because other processes disturb it least.
    """
    size = max(burst, math.ceil(len(rounds) / _MAX_POINTS))
    blocks = [rounds[start : start + size] for start in range(0, len(rounds), size)]
    try:
        block = steady_from([math.log(max(1, min(each))) for each in blocks])
    except ImportError:
        return 0
    return None if block is None else block * size
