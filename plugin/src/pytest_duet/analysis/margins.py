"""Which margin holds for which case, and from where on a gate alarms, as users write it: ``cnn/*=10%``, ``mean:5%``.

Not for what a spec says: ``suite`` makes that the case's own margin.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import ALARM_ABOVE, MARGIN
from pytest_duet.errors import SpecError
from pytest_duet.spec.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATISTICS: Final = ("min", "max", "mean", "median")
_MARGIN: Final = re.compile(r"(?P<pattern>.+)=(?P<percent>\d+(?:\.\d+)?)\s*%")
_ALARM: Final = re.compile(r"(?P<statistic>[a-z]+):(?P<percent>\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Margins:
    """The margins a user gave, of which the last that matches counts; without one it is the case's own."""

    given: tuple[tuple[str, float], ...] = ()
    alarm_above: float = ALARM_ABOVE

    def of(self, case: str, own: float | None = None) -> float:
        """Return the margin of `case`, whose `own` is what its spec says."""
        return self.given_for(case) or own or MARGIN

    def given_for(self, case: str) -> float | None:
        """Return the margin that was given for `case`, None where none was."""
        return next((margin for pattern, margin in reversed(self.given) if matches(pattern, case)), None)


def parse(texts: Iterable[str]) -> Margins:
    """Return the margins written in `texts`.

    ``PATTERN=5%`` sets the margin of the cases it matches. ``mean:5%``, as pytest-benchmark writes what may not be
    exceeded, sets from where on a gate alarms; whichever statistic it names, the one compared is the typical time.

    Raises:
        SpecError: a text is neither.

    """
    given, alarm_above = [], ALARM_ABOVE
    for text in texts:
        margin, alarm = _MARGIN.fullmatch(text.strip()), _ALARM.fullmatch(text.strip())
        percent = float((margin or alarm or {"percent": 0})["percent"])
        if not 0 < percent < 1000 or (alarm and alarm["statistic"] not in _STATISTICS):  # noqa: PLR2004 - tenfold is no margin
            msg = f"margin {text!r} cannot be used; write PATTERN=5%, or mean:5% for from where on a gate alarms"
            raise SpecError(msg)
        if margin:
            given.append((margin["pattern"], percent / 100))
        else:
            alarm_above = percent / 100
    return Margins(tuple(given), alarm_above)
