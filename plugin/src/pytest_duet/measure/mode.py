"""The measurement modes: which processes members run in, what is observed, and when timing stops."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from pytest_duet.defaults import ALPHA
from pytest_duet.measure.schedule import ALIKE
from pytest_duet.measure.stop import Stop


@dataclass(frozen=True)
class Mode:
    """The settings of one mode.

    If `fresh`, every cell has new processes, for Python members too. If `observed`, memory and CPU use are observed.
    `alike` is the factor below which the calls of a pair may differ and still be equally many in a round.
    """

    name: str
    fresh: bool
    observed: bool = True
    alike: float = ALIKE
    stop: Stop = field(default_factory=Stop)


DIRECT: Final = Mode("direct", fresh=False)
PAIRED: Final = Mode("paired", fresh=True)
MODES: Final = {mode.name: mode for mode in (DIRECT, PAIRED)}
"""The modes that a user can select."""


def base_and_head(decisions: int) -> Mode:
    """Return the mode that compares two builds of one implementation, in a family of `decisions`.

    Both builds get the same number of calls in a round, however far apart their estimates are: the machine may have been
    slow during one of them.
    """
    return Mode("ab", fresh=True, observed=False, alike=math.inf, stop=Stop.of_gate(decisions, ALPHA))
