"""The check for a loop that is not expected to give the same numbers."""

from __future__ import annotations

import numpy as np


def finite(_: np.ndarray, other: np.ndarray) -> float:
    """Return the fraction of numbers that are not finite, the only check for a loop that draws its own random numbers."""
    return float(np.mean(~np.isfinite(other)))


CHECKS = {"finite": finite}
