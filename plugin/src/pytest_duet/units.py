"""Format numbers for people."""

from __future__ import annotations

import math

_NS = ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BYTES = ((1024.0**3, "GiB"), (1024.0**2, "MiB"), (1024.0, "KiB"), (1.0, "B"))
_PLAIN_FROM, _PLAIN_BELOW = 1e-3, 1e7
_SMALL_P = 1e-4
_UNREADABLE_EXPONENT = 15
_THREE_DIGITS_FROM = 0.1


def significant(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits: ``1234`` as ``1230``, ``0.01234`` as ``0.0123``.

    Numbers too large to be read without an exponent keep it.
    """
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    # Rounding may add a digit, so the exponent is taken after it: 9.996 is 10.0, not 10.00.
    text = f"{value:.{digits - 1}e}"
    exponent = int(text.partition("e")[2])
    if exponent >= _UNREADABLE_EXPONENT:
        return text
    return f"{float(text):.{max(digits - 1 - exponent, 0)}f}"


def _scaled(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    for size, unit in scale:
        # A value that would round to 1000 of a unit is shown as 1 of the next: never "1000 us".
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value)} {scale[-1][1]}"


def duration(ns: float) -> str:
    """Return nanoseconds as ``1.23 ms``."""
    return _scaled(ns, _NS)


def rate(per_second: float) -> str:
    """Return a rate per second as ``1.23 k/s``."""
    return f"{_scaled(per_second, _COUNTS).rstrip()}/s"


def memory(size_bytes: float) -> str:
    """Return bytes as ``12.3 MiB``."""
    return _scaled(size_bytes, _BYTES)


def factor(ratio: float) -> str:
    """Return a ratio as ``1.32``, below 0.1 as ``0.028``; without an exponent from 0.001 to ten million."""
    if ratio == 0 or not math.isfinite(ratio):
        return str(ratio)
    digits = 3 if abs(ratio) >= _THREE_DIGITS_FROM else 2
    return significant(ratio, digits) if _PLAIN_FROM <= abs(ratio) < _PLAIN_BELOW else f"{ratio:.1e}"


def speed_up(ratio: float) -> str:
    """Return a speed-up as ``1.32x``."""
    return f"{factor(ratio)}x"


def interval(low: float, high: float) -> str:
    """Return an interval of ratios or effects as ``[1.28, 1.36]``."""
    return f"[{factor(low)}, {factor(high)}]"


def percent(share: float) -> str:
    """Return a share as ``7.3 %``; a share of ten or more as a multiple."""
    if not math.isfinite(share) or abs(share) >= 10:  # noqa: PLR2004 - a percentage beyond 1000 % is hard to read
        return f"{factor(share)}-fold"
    return f"{_trimmed(significant(100 * share, 2))} %" if abs(share) < 1 else f"{100 * share:.0f} %"


def counted(number: int, noun: str) -> str:
    """Return a number of things as ``1 case``, ``2 cases``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def error(value: float, digits: int = 2) -> str:
    """Return an error or a tolerance with at most `digits` digits: ``3.1e-15``, ``0.01``, ``0``."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if -3 <= int(exponent) <= 1:  # noqa: PLR2004 - up to three decimal places are easier to read than an exponent
        return _trimmed(significant(value, digits))
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def quality(value: float) -> str:
    """Return a quality with four digits: ``0.9731``, ``12.35``, ``1.235e-07``."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    return significant(value, 4) if _PLAIN_FROM <= abs(value) < _PLAIN_BELOW else f"{value:.3e}"


def p_value(p: float) -> str:
    """Return a p-value with its relation, to be written after ``p``: ``= 0.0078``, ``< 0.0001``."""
    return "< 0.0001" if p < _SMALL_P else f"= {significant(p, 2)}"


def reading(value: float, unit: str) -> str:
    """Return a telemetry value with its unit: bytes and ns are scaled, shares become percentages."""
    if not math.isfinite(value):
        return str(value)
    if unit == "bytes":
        return memory(value)
    if unit == "ns":
        return duration(value)
    if unit in {"share", "ratio", "percent"}:
        return percent(value / 100 if unit == "percent" else value)
    return f"{factor(value)} {unit}".rstrip()
