"""Defaults and levels that several modules share, each stated once."""

from __future__ import annotations

from typing import Final

MARGIN: Final = 0.05
"""The relative difference in time below which speed does not matter."""

ALARM_ABOVE: Final = 0.01
"""The relative slowdown that a gate must be sure of before it alarms."""

ALPHA: Final = 0.01
"""The probability that a gate job alarms although nothing changed: over all its cases, by Holm's correction."""

PRINTED: Final = 0.95
"""The confidence of every interval that is shown."""

JUDGED: Final = 0.90
"""The confidence of the interval that a verdict rests on: two one-sided tests at 5 %."""

STRICT: Final = 0.99
"""The confidence of the interval that a verdict rests on where there are few cells."""

ENOUGH_CELLS: Final = 8
"""From this many cells on, the `JUDGED` interval decides: the fewest at which the exact interval can reject at every level."""

FEWEST_CELLS: Final = 4
"""From this many cells on, a clear difference is believed if even the `STRICT` interval lies beyond the margin."""

PROFILE: Final = "smoke"
"""The profile of a session that names none."""

RESULTS: Final = "results"
"""The folder of saved runs, below the root of the project."""

CACHE: Final = ".duet"
"""The folder of data sets, below the root of the project."""

DATA_CACHE: Final = f"{CACHE}/data"
"""Where in it the data sets are."""
