"""How weights are held against each other where their largest difference says too little: checks that several rooms have.

Not for tolerances: each room's ``task.toml`` sets them.
"""

from __future__ import annotations

import numpy as np

APART = 2e-5
"""Relative to the largest weight: what two libraries differ by after one step."""


def strays(reference: np.ndarray, other: np.ndarray) -> float:
    """Return the share of weights that are further apart than `APART` of the largest.

    The first step of Adam moves a weight by the sign of its gradient, so one whose gradient is smaller than rounding goes
    either way: by as much as the learning rate, whoever computes it.
    """
    apart = np.abs(np.float64(reference) - np.float64(other)) > APART * np.abs(reference).max()
    return float(np.mean(apart | ~np.isfinite(other)))
