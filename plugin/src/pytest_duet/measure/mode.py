"""Where members live while they are timed, and what else a mode decides; there is one engine for all of them.

Not for running any of it: ``group`` and ``timing`` do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pytest_duet.gate import ALPHA
from pytest_duet.measure.stop import Stop


@dataclass(frozen=True)
class Mode:
    """`fresh`: every cell has processes of its own, for Python too. `observed`: memory and processor are looked at."""

    name: str
    fresh: bool
    observed: bool = True
    stop: Stop = field(default_factory=Stop)


DIRECT: Final = Mode("direct", fresh=False)
PAIRED: Final = Mode("paired", fresh=True)
MODES: Final = {mode.name: mode for mode in (DIRECT, PAIRED)}
"""What a session can be told to use."""


def base_and_head(decisions: int) -> Mode:
    """Return the mode in which two builds of the same implementation are compared, `decisions` of which make the family."""
    return Mode("ab", fresh=True, observed=False, stop=Stop.of_gate(decisions, ALPHA))
