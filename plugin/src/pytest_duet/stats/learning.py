"""What several learners earned: the unit is the run of one seed, and no run is ever picked.

Not for times of one call: ``ratio`` compares those.

Source of all but the last: Agarwal et al. 2021, Deep Reinforcement Learning at the Edge of the Statistical Precipice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from pytest_duet.defaults import PRINTED
from pytest_duet.stats.results import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FEWEST_FOR_INTERVAL: Final = 5
"""Seeds a side below which no interval is shown."""
FEWEST_FOR_VERDICT: Final = 10
"""Seeds a side below which no word is said."""
RESAMPLES: Final = 2000
_TRIM: Final = 0.25


def interquartile_mean(scores: Sequence[Sequence[float]], confidence: float = PRINTED) -> Estimate:
    """Return the mean of the middle half of all scores, with its stratified bootstrap interval.

    `scores` are those of each task, one a seed: runs are drawn again within their task, so that every task keeps its weight.
    """
    return _bootstrap("interquartile mean", _middle, scores, confidence)


def probability_of_improvement(ours: Sequence[float], theirs: Sequence[float], confidence: float = PRINTED) -> Estimate:
    """Return how probable it is that a run of ours earns more than one of theirs, an equal one counting half.

    It is the statistic of Mann and Whitney (1947) as a share of all pairs; the interval is the bootstrap's, both sides drawn
    again.
    """
    return _bootstrap("probability of improvement", _share_of_pairs, [ours, theirs], confidence)


def performance_profile(scores: Sequence[float], thresholds: Sequence[float]) -> list[float]:
    """Return which share of the runs earned more than each threshold (Dolan and Moré 2002, for scores)."""
    return [sum(score > threshold for score in scores) / len(scores) for threshold in thresholds]


def median_time(times: Sequence[float | None], confidence: float = PRINTED) -> Estimate:
    """Return the median time to a goal; None is a run that did not reach it, which is later than any that did.

    The interval is made of order statistics: it holds whatever the distribution, and its upper end is None where too few
    runs arrived. Since all runs are censored at the end alone, this is the median of Kaplan and Meier (1958).

    Source: Conover, Practical Nonparametric Statistics, section 3.2 (interval of a quantile).
    """
    name, count = "median time", len(times)
    ordered = sorted(math.inf if time is None else time for time in times)
    if not ordered or ordered[(count - 1) // 2] == math.inf:
        return Estimate(name, None, confidence=confidence, note="fewer than half of the runs arrived")
    # With an even number the later of the middle two may never have arrived; the earlier one is then half of the runs.
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    value = middle if middle < math.inf else ordered[(count - 1) // 2]
    if count < FEWEST_FOR_INTERVAL:
        return Estimate(name, value, confidence=confidence, note=_few(count))
    from scipy.stats import binom

    rank = int(binom.ppf((1 - confidence) / 2, count, 0.5))
    if rank < 1:
        return Estimate(name, value, confidence=confidence, note=f"{count} runs leave no {confidence:.0%} interval")
    high = ordered[count - rank]
    return Estimate(name, value, ordered[rank - 1], high if high < math.inf else None, confidence)


def _middle(samples: list[Floats]) -> Floats:
    import numpy as np
    from scipy.stats import trim_mean

    return np.asarray(trim_mean(np.concatenate(samples, axis=-1), _TRIM, axis=-1))


def _share_of_pairs(samples: list[Floats]) -> Floats:
    import numpy as np

    ours, theirs = (sample[..., :, None] for sample in samples)
    pairs = np.sign(ours - np.swapaxes(theirs, -1, -2))
    return np.asarray((pairs.mean(axis=(-1, -2)) + 1) / 2)


def _bootstrap(
    name: str, statistic: Callable[[list[Floats]], Floats], samples: Sequence[Sequence[float]], confidence: float
) -> Estimate:
    """Return `statistic` with its percentile interval, each sample drawn again within itself, always the same way."""
    import numpy as np

    if not samples or any(not sample for sample in samples):
        return Estimate(name, None, confidence=confidence, note="needs a run")
    arrays = [np.asarray(sample, float) for sample in samples]
    value = float(statistic(arrays))
    fewest = min(map(len, samples))
    if fewest < FEWEST_FOR_INTERVAL:
        return Estimate(name, value, confidence=confidence, note=_few(fewest))
    # The same file must give the same interval, so nothing is drawn from outside.
    rng = np.random.default_rng(0)
    drawn = [array[rng.integers(len(array), size=(RESAMPLES, len(array)))] for array in arrays]
    low, high = np.quantile(statistic(drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(name, value, float(low), float(high), confidence)


def _few(count: int) -> str:
    return f"{count} seeds leave no interval; use {FEWEST_FOR_INTERVAL} or more"


def word(improvement: Estimate, seeds: int) -> str:
    """Return `better`, `worse` or `inconclusive`, from fewest `seeds` a side up; before, nothing but what is missing."""
    if seeds < FEWEST_FOR_VERDICT:
        return f"no verdict below {FEWEST_FOR_VERDICT} seeds"
    if improvement.low is not None and improvement.low > 1 / 2:
        return "better"
    if improvement.high is not None and improvement.high < 1 / 2:
        return "worse"
    return "inconclusive"
