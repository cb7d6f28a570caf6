"""Parse and look up the margins that users give, ``cnn/*=10%``, and the slowdown above which a gate alarms, ``mean:5%``."""

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
    """The margins that the user gave: the last that matches a case counts; without one, the margin of its spec."""

    given: tuple[tuple[str, float], ...] = ()
    alarm_above: float = ALARM_ABOVE

    def of(self, case: str, own: float | None = None) -> float:
        """Return the margin of `case`; `own` is the one of its spec."""
        return self.given_for(case) or own or MARGIN

    def given_for(self, case: str) -> float | None:
        """Return the margin that was given for `case`, None where there is none."""
        return next((margin for pattern, margin in reversed(self.given) if matches(pattern, case)), None)


def parse(texts: Iterable[str]) -> Margins:
    """Return the margins written in `texts`.

    ``PATTERN=5%`` sets the margin of the cases it matches. ``mean:5%``, which is the syntax of pytest-benchmark, sets the
    slowdown above which a gate alarms; it accepts the names of other statistics, but always compares the typical time.

    Raises:
        SpecError: a text is neither.
    """
    given, alarm_above = [], ALARM_ABOVE
    for text in texts:
        margin, alarm = _MARGIN.fullmatch(text.strip()), _ALARM.fullmatch(text.strip())
        percent = float((margin or alarm or {"percent": 0})["percent"])
        if not 0 < percent < 1000 or (alarm and alarm["statistic"] not in _STATISTICS):  # noqa: PLR2004 - ten times is not a margin
            msg = f"margin {text!r} cannot be used; write PATTERN=5%, or mean:5% for the slowdown above which a gate alarms"
            raise SpecError(msg)
        if margin:
            given.append((margin["pattern"], percent / 100))
        else:
            alarm_above = percent / 100
    return Margins(tuple(given), alarm_above)
