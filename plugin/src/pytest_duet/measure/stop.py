"""Decide when there are enough cells: once enough can be seen, never because of what is seen.

Not for running cells (``timing``) and not for judging (``comparison``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import JUDGED
from pytest_duet.measure.schedule import CELLS
from pytest_duet.stats.corrections import fewest_units
from pytest_duet.stats.signed_rank import least_shift, location

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_CELLS: Final = 40
STEP: Final = 4
HALF_WIDTH: Final = 0.0194
"""Half of the 90 % interval of a log-ratio that a margin of 5 % can be judged with: twice that is log(1.05 / 1.01)."""
SHARE: Final = 0.1
"""Across languages ratios are large, and a tenth of one is narrow enough."""

PATIENCE: Final = 3.0
"""A gate that cannot see its margin yet has decided nothing: better to measure for longer than for nothing."""


@dataclass(frozen=True)
class Stop:
    """At least `least` cells, then `STEP` more until every half-width is at most max(`HALF_WIDTH`, `SHARE` · |log-ratio|).

    With a `level` it is a gate that decides: until it would alarm at that level on what the margin lets pass. `patience` is
    how many times the seconds that were planned for it may take.
    """

    least: int = CELLS
    most: int = MOST_CELLS
    level: float | None = None
    patience: float = 1.0

    @classmethod
    def of_gate(cls, decisions: int, alpha: float) -> Stop:
        """Return the rule for a family of `decisions` at level `alpha`.

        With fewer cells than log2(decisions / alpha) no outcome whatever could be significant after Holm's correction.
        """
        return cls(least=max(CELLS, fewest_units(alpha, decisions)), level=alpha / max(1, decisions), patience=PATIENCE)

    def is_reached(self, cells: int, log_ratios: Iterable[Sequence[float]]) -> bool:
        """Say whether `cells` are enough, given the log-ratios of every comparison."""
        if cells < self.least:
            return False
        if cells >= self.most:
            return True
        enough = self._is_narrow if self.level is None else self._would_alarm
        return (cells - self.least) % STEP == 0 and all(enough(each) for each in log_ratios)

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
