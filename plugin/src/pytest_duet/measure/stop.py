"""Decide when there are enough cells: by how precise the ratios are, never by what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import ALARM_ABOVE, ENOUGH_CELLS, JUDGED, MARGIN
from pytest_duet.stats.corrections import fewest_units
from pytest_duet.stats.signed_rank import least_shift, location

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_CELLS: Final = 40
CELLS_STEP: Final = 4
HALF_WIDTH: Final = math.log((1 + MARGIN) / (1 + ALARM_ABOVE)) / 2
"""The widest half of a 90 % interval of a log-ratio that decides on the default margin: 1.94 %."""
SHARE: Final = 0.1
"""A large log-ratio, as between languages, needs only this relative half-width."""
PATIENCE: Final = 3.0
"""A gate may take this many times its seconds: if it stops before it can see its margin, it has decided nothing."""


@dataclass(frozen=True)
class Stop:
    """A stopping rule: `least` cells, then `CELLS_STEP` more at a time until the ratios are precise enough or there are `most`.

    Without a `level`, a ratio is precise enough if the half-width of its interval is at most
    max(`HALF_WIDTH`, `SHARE` · |log-ratio|). With a `level`, the rule is a gate's: a ratio is precise enough if the gate
    would alarm at that level on a change as large as the margin. Measuring may take `patience` times the planned seconds.
    """

    least: int = ENOUGH_CELLS
    most: int = MAX_CELLS
    level: float | None = None
    patience: float = 1.0

    @classmethod
    def of_gate(cls, decisions: int, alpha: float) -> Stop:
        """Return the rule of a gate that makes a family of `decisions` at level `alpha`.

        With fewer than log2(decisions / alpha) cells no outcome could be significant after Holm's correction.
        """
        return cls(
            least=max(ENOUGH_CELLS, fewest_units(alpha, decisions)), level=alpha / max(1, decisions), patience=PATIENCE
        )

    def is_reached(self, cells: int, log_ratios: Iterable[Sequence[float]]) -> bool:
        """Return whether `cells` are enough, given the log-ratios of every comparison."""
        if cells < self.least:
            return False
        if cells >= self.most:
            return True
        enough = self._is_narrow if self.level is None else self._would_alarm
        return (cells - self.least) % CELLS_STEP == 0 and all(enough(each) for each in log_ratios)

    def _would_alarm(self, log_ratios: Sequence[float]) -> bool:
        assert self.level is not None
        seen = least_shift(log_ratios, self.level)
        return seen is not None and seen <= 2 * HALF_WIDTH

    @staticmethod
    def _is_narrow(log_ratios: Sequence[float]) -> bool:
        found = location(log_ratios, JUDGED)
        if found.value is None or found.low is None or found.high is None:
            return False
        return (found.high - found.low) / 2 <= max(HALF_WIDTH, SHARE * abs(found.value))
