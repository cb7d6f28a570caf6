"""Let a member run until its times have settled, and tell how long that takes.

Not for what is measured: these rounds are thrown away.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.measure.schedule import BURST_ROUNDS, LONGEST_ROUND_NS, SHORTEST_ROUND_NS
from pytest_duet.stats.changepoint import steady_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.workers.client import Client

LONGEST_CALL_NS: Final = 100e6
"""A longer call is its own warm-up."""
PILOT_ROUNDS: Final = 30
PILOT_NS: Final = 1e9
PATIENCE_NS: Final = 5e9
"""Who has not settled after so much running is flagged."""
MORE: Final = 0.2
"""What is thrown away beyond the last change, as a share of what came before it."""
_MOST_POINTS: Final = 100
_MOST_LOOKS: Final = 8


@dataclass(frozen=True)
class WarmUp:
    """After how many `calls` a member was warm and how long one took from there on; `settled` is False where it never was."""

    call_ns: float
    calls: int = 0
    settled: bool = True


def warm_up(client: Client, call_ns: float, most_calls: int | None = None) -> WarmUp:
    """Run rounds until they have settled, at most for `PATIENCE_NS`; `call_ns` is about what a call takes.

    First `PILOT_ROUNDS` or as many as take `PILOT_NS`, then twice as many each time. A member whose call is longer than
    `LONGEST_CALL_NS` is not run. Without ruptures every pilot counts as settled.

    Raises:
        MemberError: the worker fails.

    """
    if call_ns > LONGEST_CALL_NS:
        return WarmUp(call_ns)
    calls = max(1, min(most_calls or sys.maxsize, round(SHORTEST_ROUND_NS / call_ns)))
    round_ns = calls * call_ns
    rounds: list[int] = []
    more = min(PILOT_ROUNDS, math.ceil(PILOT_NS / round_ns))
    for _ in range(_MOST_LOOKS):
        rounds += client.run(more, calls).elapsed_ns
        start = _settled_at(rounds, 1 if round_ns > LONGEST_ROUND_NS else BURST_ROUNDS)
        if start is not None:
            # Who got slower was not warming up: that is the machine's doing, or does not pass.
            warming = start > 0 and min(rounds[:start]) > min(rounds[start:])
            needed = math.ceil(start * (1 + MORE)) * calls if warming else 0
            return WarmUp(max(1, min(rounds[start:])) / calls, needed)
        left = PATIENCE_NS - sum(rounds)
        if left <= 0:
            break
        more = max(1, min(len(rounds), math.ceil(left / round_ns)))
    return WarmUp(max(1, min(rounds)) / calls, len(rounds) * calls, settled=False)


def _settled_at(rounds: Sequence[int], burst: int) -> int | None:
    """Return the first round after the last change; of each `burst` the fastest counts, which other processes disturb least."""
    size = max(burst, math.ceil(len(rounds) / _MOST_POINTS))
    blocks = [rounds[start : start + size] for start in range(0, len(rounds), size)]
    try:
        block = steady_from([math.log(max(1, min(each))) for each in blocks])
    except ImportError:
        return 0
    return None if block is None else block * size
