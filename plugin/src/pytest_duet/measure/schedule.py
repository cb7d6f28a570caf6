"""Decide how long rounds are and how many of them make a cell, from one estimate of each member's call.

Not for running them: ``timing`` does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SHORTEST_ROUND_NS: Final = 1_000_000
LONGEST_ROUND_NS: Final = 5_000_000
BURST_ROUNDS: Final = 3
CELLS: Final = 8
"""The smallest number of independent units at which the exact interval can reject at the levels that are used."""
LEAST_CELLS: Final = 4
LEAST_CYCLES: Final = 3
MOST_CYCLES: Final = 20
WARMUP_CYCLES: Final = 2
ALIKE: Final = 2.0
"""Members of a pair whose calls differ by less get the same number of calls a round."""
IN_ROUNDS: Final = 0.65
"""The share of a group's seconds that is planned for rounds: the estimate is of undisturbed calls, and much lies between rounds."""


@dataclass(frozen=True)
class Schedule:
    """`calls` per round and member, `burst` rounds in a row, `cycles` measured after `warmup` ones in each cell.

    `cells` is how many there should be at least.
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
    cells: int = CELLS,
    fresh: bool = False,
    warm_after: Mapping[str, int] | None = None,
    pairs: Collection[tuple[str, str]] = (),
    alike: float = ALIKE,
) -> Schedule:
    """Return the schedule for members whose calls take about `call_ns`, within `group_seconds` for `cells`.

    Members' rounds are made about equally long, as far as whole calls and `most_calls` allow. A cell shrinks before
    their number does: fewer cycles in each of eight cells say more than many cycles in few. Where rounds are long that goes
    down to one cycle without warm-up, so that one slow member does not cost the others their cells; but not in `fresh`
    processes, whose first call pays for what no other does. They warm up until each has done `warm_after` calls, as far as
    that leaves half of a cell, and for no more cycles than are measured.

    The first call of a round costs more than the others, so members of one of the `pairs` whose calls differ by less than the
    factor `alike` get the same number of them: else the difference would look like one between the members. Those far apart it
    does not confuse.
    """
    round_ns = min(max(*call_ns.values(), SHORTEST_ROUND_NS), LONGEST_ROUND_NS)
    calls = {name: max(1, round(round_ns / ns)) for name, ns in call_ns.items()}
    calls = {name: min(count, most_calls.get(name) or count) for name, count in calls.items()}
    calls = {name: min(calls[each] for each in linked) for name, linked in _linked(call_ns, pairs, alike).items()}
    long_rounds = max(calls[name] * call_ns[name] for name in calls) > LONGEST_ROUND_NS * 1.5
    burst = 1 if long_rounds else BURST_ROUNDS
    cycle_ns = sum(calls[name] * call_ns[name] * burst for name in calls)
    # As many as leave room for all cells with their warm-up, and for what passes between the rounds.
    task_folder = int(IN_ROUNDS * group_seconds * 1e9 / cells / cycle_ns)
    warmup, least = (1 if long_rounds else WARMUP_CYCLES), LEAST_CYCLES
    if fresh and warm_after:
        wanted = max(math.ceil(after / (calls[name] * burst)) for name, after in warm_after.items())
        warmup = max(warmup, min(wanted, task_folder // 2, MOST_CYCLES))
    if long_rounds and task_folder < warmup + least:
        # A long call was warmed by those that checked and estimated it, and is its own average.
        warmup, least = int(fresh), 1
    return Schedule(
        calls=calls,
        burst=burst,
        warmup=warmup,
        cycles=min(max(task_folder - warmup, least), MOST_CYCLES),
        cells=cells,
    )


def _linked(
    call_ns: Mapping[str, float], pairs: Collection[tuple[str, str]], alike: float
) -> dict[str, frozenset[str]]:
    """Return, for each member, itself and all that pairs within the factor `alike` link it to."""
    linked = {name: frozenset([name]) for name in call_ns}
    for one, other in pairs:
        if max(call_ns[one], call_ns[other]) < alike * min(call_ns[one], call_ns[other]):
            together = linked[one] | linked[other]
            linked.update(dict.fromkeys(together, together))
    return linked
