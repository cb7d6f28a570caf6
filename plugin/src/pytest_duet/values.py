"""The number types of messages, specs and records, all of which are JSON: it has no NaN and no infinity."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec


class NonFinite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number that JSON cannot hold, by its name: ``{"nonfinite": "nan"}``."""

    nonfinite: Literal["nan", "inf", "-inf"]


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer of 64 bits. Larger ones are errors, and the largest do not fit a float."""

Number = Int64 | float | NonFinite
Scalar = bool | int | float | str | NonFinite


def to_number(value: float) -> Number:
    """Return `value` as JSON holds it: itself if it is finite, else its name."""
    if math.isfinite(value):
        return value
    return NonFinite("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")


def from_number(value: Number) -> float:
    """Return the float that `value` stands for."""
    return float(value.nonfinite) if isinstance(value, NonFinite) else float(value)
