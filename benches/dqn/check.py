"""What is asked of a loop that is not meant to do the same."""

from __future__ import annotations

import numpy as np


def finite(_: np.ndarray, other: np.ndarray) -> float:
    """Return the share of numbers that are not finite: all that can be asked of a loop that draws its own numbers."""
    return float(np.mean(~np.isfinite(other)))


CHECKS = {"finite": finite}
