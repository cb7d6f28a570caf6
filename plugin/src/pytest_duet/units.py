"""The one place that turns numbers into text for people.

Not for arithmetic.
"""

from __future__ import annotations

import math

_NS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))


def significant(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits and no exponent: ``1234`` → ``1230``, ``0.01234`` → ``0.0123``."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, places)
    return f"{rounded:.{max(places, 0)}f}"


def duration(ns: float) -> str:
    """Return nanoseconds as ``1.23 ms``."""
    for size, unit in _NS:
        if abs(ns) >= size:
            return f"{significant(ns / size)} {unit}"
    return f"{significant(ns)} ns"


def memory(size_bytes: float) -> str:
    """Return bytes as ``12.3 MiB``."""
    for power, unit in ((3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size_bytes >= 1024**power:
            return f"{significant(size_bytes / 1024**power)} {unit}"
    return f"{size_bytes:.0f} B"
