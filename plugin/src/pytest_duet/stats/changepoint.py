"""Find change points in a series of times, and the point after which it is steady."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST: Final = 5
"""A series of fewer values counts as steady."""
SAME: Final = 0.02
"""Levels of log times that differ by no more are the same."""
SETTLED_SHARE: Final = 0.2
"""More than this share of all values must follow the last change; otherwise it may not have been the last."""
_SHORTEST: Final = 2
_LEAST_NOISE: Final = 0.002
_PENALTY: Final = 6.0
_NORMAL_QUARTILE: Final = 0.6745


def steady_from(log_times: Sequence[float]) -> int | None:
    """Return the index after which the level of `log_times` no longer changes, None where it is not steady yet.

    Changes of the mean are found by PELT (Killick, Fearnhead & Eckley 2012, JASA 107) as ruptures computes it, with a
    penalty of 6 σ² log n a change. σ comes from the median of absolute second differences, which a few changes or a slope
    do not affect. Earlier segments whose level is the `SAME` are joined to the last one. Barrett et al. (2017, OOPSLA)
    describe the shapes that warm-up can have.

    Raises:
        ImportError: ruptures is not installed (the extra ``stats``).
    """
    from ruptures import Pelt

    n = len(log_times)
    if n < FEWEST:
        return 0
    signal = np.asarray(log_times, float).reshape(-1, 1)
    bends = np.abs(np.diff(signal, 2, axis=0))
    noise = max(_LEAST_NOISE, float(np.median(bends)) / _NORMAL_QUARTILE / math.sqrt(6))
    ends = Pelt("l2", min_size=_SHORTEST, jump=1).fit(signal).predict(pen=_PENALTY * noise**2 * math.log(n))
    starts = [0, *ends[:-1]]
    levels = [statistics.median(log_times[start:end]) for start, end in zip(starts, ends, strict=True)]
    first = len(starts) - 1
    while first and abs(levels[first - 1] - levels[-1]) <= SAME:
        first -= 1
    return starts[first] if n - starts[first] > max(_SHORTEST, SETTLED_SHARE * n) else None
