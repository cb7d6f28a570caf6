"""How runs are held against each other that are not meant to be the same."""

from __future__ import annotations

import numpy as np


def parting(reference: np.ndarray, other: np.ndarray) -> float:
    """Return which share of a run is left when two runs first take different actions: 0 if they never do."""
    differ = np.flatnonzero(reference != other)
    return 1 - differ[0] / len(reference) if len(differ) else 0.0


def finite(_: np.ndarray, other: np.ndarray) -> float:
    """Return the share of numbers that are not finite: all that can be asked of a loop that draws its own numbers."""
    return float(np.mean(~np.isfinite(other)))


CHECKS = {"parting": parting, "finite": finite}
