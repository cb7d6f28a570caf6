"""Where members live while they are timed, and what else a mode decides; there is one engine for all of them.

Not for running any of it: ``group`` and ``timing`` do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from pytest_duet.defaults import ALPHA
from pytest_duet.measure.schedule import ALIKE
from pytest_duet.measure.stop import Stop


@dataclass(frozen=True)
class Mode:
    """What a mode decides.

    `fresh`: every cell has processes of its own, for Python too. `observed`: memory and processor are looked at. `alike`: by
    what factor calls may differ and still be equally many in a round.
    """

    name: str
    fresh: bool
    observed: bool = True
    alike: float = ALIKE
    stop: Stop = field(default_factory=Stop)


DIRECT: Final = Mode("direct", fresh=False)
PAIRED: Final = Mode("paired", fresh=True)
MODES: Final = {mode.name: mode for mode in (DIRECT, PAIRED)}
"""What a session can be told to use."""


def base_and_head(decisions: int) -> Mode:
    """Return the mode in which two builds of the same implementation are compared, `decisions` of which make the family.

    However far apart two estimates of such calls are, one of them may have met a slow moment of the machine.
    """
    return Mode("ab", fresh=True, observed=False, alike=math.inf, stop=Stop.of_gate(decisions, ALPHA))
