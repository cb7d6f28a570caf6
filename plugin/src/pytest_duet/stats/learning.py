"""How well algorithms learn, over seeds: means that no single seed decides, and times that some seeds never reach.

Not for speed. The unit is the seed; a best seed is never compared with anything.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from pytest_duet.stats.shapes import Estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    Scores = Sequence[Sequence[float]]
    """Of each task the score of each seed."""

FEWEST_SHOWN: Final = 5
"""Seeds below which no interval is shown."""

FEWEST_JUDGED: Final = 10
"""Seeds a side below which nothing is judged."""

_IQM: Final = "interquartile mean"
_RESAMPLES: Final = 2000


def interquartile_mean(scores: Scores) -> float:
    """Return the mean of the middle half of all scores, tasks and seeds together.

    Source: Agarwal et al. (2021), Deep reinforcement learning at the edge of the statistical precipice, NeurIPS;
    `scipy.stats.trim_mean`.
    """
    from scipy.stats import trim_mean

    return float(trim_mean(list(itertools.chain.from_iterable(scores)), 0.25, axis=None))


def interquartile_mean_interval(scores: Scores, rng: np.random.Generator, confidence: float = 0.95) -> Estimate:
    """Return the interquartile mean with its stratified bootstrap interval: seeds are drawn anew within each task.

    Source: Agarwal et al. (2021), section 4.1 (percentile bootstrap, 2000 draws).
    """
    if not scores or not all(scores):
        return Estimate(_IQM, None, confidence=confidence, note="a task without seeds")
    value = interquartile_mean(scores)
    fewest = min(len(task) for task in scores)
    if fewest < FEWEST_SHOWN:
        note = f"needs {FEWEST_SHOWN} seeds a task, has {fewest}"
        return Estimate(_IQM, value, confidence=confidence, note=note)
    import numpy as np
    from scipy.stats import trim_mean

    drawn = [np.asarray(task)[rng.integers(0, len(task), (_RESAMPLES, len(task)))] for task in scores]
    means = trim_mean(np.concatenate(drawn, axis=1), 0.25, axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    note = "" if fewest >= FEWEST_JUDGED else f"{fewest} seeds: too few to judge by"
    return Estimate(_IQM, value, float(low), float(high), confidence, note)


def probability_of_improvement(this: Scores, other: Scores) -> float:
    """Return how likely a seed of `this` beats one of `other` on the same task, ties counting half; a mean over tasks.

    Source: Agarwal et al. (2021), section 4.3 (the Mann-Whitney U over the number of pairs).
    """
    shares = [
        math.fsum((a > b) + 0.5 * (a == b) for a in mine for b in theirs) / (len(mine) * len(theirs))
        for mine, theirs in zip(this, other, strict=True)
    ]
    return math.fsum(shares) / len(shares)


def performance_profile(scores: Scores, thresholds: Sequence[float]) -> list[float]:
    """Return, of each threshold, the share of all seeds and tasks that score above it.

    Source: Dolan & Moré (2002), Math. Program. 91, as used by Agarwal et al. (2021), section 4.2.
    """
    flat = list(itertools.chain.from_iterable(scores))
    return [sum(score > threshold for score in flat) / len(flat) for threshold in thresholds]


def median_time_to_reach(times: Sequence[float | None], limit: float) -> float | None:
    """Return the median time in which seeds reach their goal, None where more than half of them never do.

    None among `times` is a seed that had not reached it after `limit`: it counts as later than that, never as left out.

    Source: Kaplan & Meier (1958), J. Am. Statist. Assoc. 53; with one common limit their estimate is that of the sample.
    """
    if not times:
        return None
    reached = sorted(limit if time is None else time for time in times)
    surely = sum(time is not None and time <= limit for time in times)
    middle = (len(reached) + 1) // 2
    return reached[middle - 1] if surely >= middle else None
