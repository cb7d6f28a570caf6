"""Parity checks that several tasks share; a task's ``check.py`` adds its own.

Each task's ``task.toml`` sets the tolerances.
"""

from __future__ import annotations

import numpy as np

APART = 2e-5
"""Relative to the largest weight: the difference between two libraries after one step."""


def fraction_apart(reference: np.ndarray, other: np.ndarray) -> float:
    """Return the fraction of weights that differ by more than `APART` of the largest.

    The first step of Adam moves a weight by the sign of its gradient. If the gradient is smaller than rounding errors, its sign
    is random, and the weight moves by up to the learning rate in either direction, in any library.
    """
    apart = np.abs(np.float64(reference) - np.float64(other)) > APART * np.abs(reference).max()
    return float(np.mean(apart | ~np.isfinite(other)))


CHECKS = {"fraction_apart": fraction_apart}
