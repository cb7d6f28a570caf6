"""Choose the length of rounds and the number of cycles in a cell, from an estimate of each member's call."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import ENOUGH_CELLS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MIN_TARGET_ROUND_NS: Final = 1_000_000
MAX_TARGET_ROUND_NS: Final = 5_000_000
"""All members' rounds aim at one length between these two; a round of one long call is longer."""
BURST_ROUNDS: Final = 3
MIN_CYCLES: Final = 3
MAX_CYCLES: Final = 20
WARMUP_CYCLES: Final = 2
ALIKE: Final = 2.0
"""Two members of a pair get the same number of calls in a round if their calls differ by less than this factor."""
ROUNDS_SHARE: Final = 0.65
"""The share of a group's seconds that the schedule fills: calls are estimated undisturbed, and rounds have gaps between them."""


@dataclass(frozen=True)
class Schedule:
    """How each member is timed.

    A round of a member has `calls` calls, and a burst has `burst` rounds. Each cell has `cycles` measured cycles after
    `warmup` discarded ones. `cells` is the least number of cells.
    """

    calls: Mapping[str, int]
    burst: int
    warmup: int
    cycles: int
    cells: int


def make_schedule(
    call_ns: Mapping[str, float],
    *,
    group_seconds: float,
    most_calls: Mapping[str, int | None],
    cells: int = ENOUGH_CELLS,
    fresh: bool = False,
    warm_after: Mapping[str, int] | None = None,
    pairs: Collection[tuple[str, str]] = (),
    alike: float = ALIKE,
) -> Schedule:
    """Return the schedule for members whose calls take about `call_ns`, such that `cells` cells fit into `group_seconds`.

    The rounds of all members are about equally long, as far as an integer number of calls and `most_calls` allow. If time
    is short, cells get fewer cycles before there are fewer cells: few cycles in each of eight cells say more than many
    cycles in a few. If rounds are long, a cell may have one cycle without warm-up, so that one slow member does not cost
    the others their cells. `fresh` processes always warm up, because the first call of a process costs more than the
    others: until each member has made `warm_after` calls, but for at most half of a cell and `MAX_CYCLES` cycles.

    The first call of a round costs more than the others too. The members of each of `pairs` therefore get the same number
    of calls if their calls differ by less than the factor `alike`; otherwise that cost would look like a difference
    between them. It does not matter between members that are further apart.
    """
    round_ns = min(max(*call_ns.values(), MIN_TARGET_ROUND_NS), MAX_TARGET_ROUND_NS)
    calls = {name: max(1, round(round_ns / ns)) for name, ns in call_ns.items()}
    calls = {name: min(count, most_calls.get(name) or count) for name, count in calls.items()}
    calls = {name: min(calls[each] for each in linked) for name, linked in _linked(call_ns, pairs, alike).items()}
    long_rounds = max(calls[name] * call_ns[name] for name in calls) > MAX_TARGET_ROUND_NS * 1.5
    burst = 1 if long_rounds else BURST_ROUNDS
    cycle_ns = sum(calls[name] * call_ns[name] * burst for name in calls)
    # The cycles, warm-up included, that each cell can have.
    affordable = int(ROUNDS_SHARE * group_seconds * 1e9 / cells / cycle_ns)
    warmup, fewest = (1 if long_rounds else WARMUP_CYCLES), MIN_CYCLES
    if fresh and warm_after:
        wanted = max(math.ceil(after / (calls[name] * burst)) for name, after in warm_after.items())
        warmup = max(warmup, min(wanted, affordable // 2, MAX_CYCLES))
    if long_rounds and affordable < warmup + fewest:
        # The calls that checked and estimated a long call have warmed it up, and it is an average in itself.
        warmup, fewest = int(fresh), 1
    cycles = min(max(affordable - warmup, fewest), MAX_CYCLES)
    return Schedule(calls=calls, burst=burst, warmup=warmup, cycles=cycles, cells=cells)


def _linked(
    call_ns: Mapping[str, float], pairs: Collection[tuple[str, str]], alike: float
) -> dict[str, frozenset[str]]:
    """Return the group of each member: itself and the members linked to it by pairs within the factor `alike`."""
    linked = {name: frozenset([name]) for name in call_ns}
    for one, other in pairs:
        if max(call_ns[one], call_ns[other]) < alike * min(call_ns[one], call_ns[other]):
            together = linked[one] | linked[other]
            linked.update(dict.fromkeys(together, together))
    return linked
