"""What several trainings of each member of one group show: scores as distributions over seeds, and times to a goal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_duet.stats import learning as stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.stats.results import Estimate

PROFILE_POINTS: Final = 11


@dataclass(frozen=True)
class Trial:
    """One training with one seed: its score and the time of the call, or the reason why there is neither."""

    member: str
    seed: int
    score: float | None
    elapsed_ns: int | None
    reason: str = ""


@dataclass
class Learning:
    """All trainings of one group; a trial reaches the goal if its score is at least `threshold`."""

    task: str
    group: str
    reference: str
    metric: str
    threshold: float
    trials: list[Trial] = field(default_factory=list)

    def members(self) -> list[str]:
        """Return the members in the order in which they were trained."""
        return list(dict.fromkeys(trial.member for trial in self.trials))

    def scores(self, member: str) -> list[float]:
        """Return the scores of the trials of `member` that did not fail."""
        return [trial.score for trial in self.trials if trial.member == member and trial.score is not None]

    def times(self, member: str) -> list[float | None]:
        """Return the time of each trial of `member` in ns, None where it did not reach the goal or failed."""
        return [
            trial.elapsed_ns if trial.score is not None and trial.score >= self.threshold else None
            for trial in self.trials
            if trial.member == member
        ]

    def reached(self, member: str) -> int:
        """Return the number of trials of `member` that reached the goal."""
        return sum(time is not None for time in self.times(member))

    def median_time(self, member: str) -> Estimate:
        """Return the median time of `member` to the goal in ns; a trial that missed it is later than all others."""
        return stats.median_time(self.times(member))

    def typical_score(self, member: str) -> Estimate:
        """Return the interquartile mean of the scores of `member`."""
        return stats.interquartile_mean([self.scores(member)])

    def improvement(self, member: str) -> Estimate | None:
        """Return the probability that a trial of `member` scores higher than one of the reference, which has none."""
        if member == self.reference:
            return None
        return stats.probability_of_improvement(self.scores(member), self.scores(self.reference))

    def word(self, member: str) -> str | None:
        """Return the verdict on `member` against the reference, which has none."""
        if (improvement := self.improvement(member)) is None:
            return None
        if any(trial.reason for trial in self.trials if trial.member in {member, self.reference}):
            return "not comparable: a run failed"
        seeds = min(len(self.scores(member)), len(self.scores(self.reference)))
        return stats.word(improvement, seeds)


def document(learning: Learning) -> dict[str, object]:
    """Return every trial and what follows from them as plain numbers; an estimate is [value, low, high]."""
    everything = [score for member in learning.members() for score in learning.scores(member)]
    low, high = min(everything, default=0.0), max(everything, default=0.0)
    thresholds = [low + (high - low) * point / (PROFILE_POINTS - 1) for point in range(PROFILE_POINTS)]
    return {
        "task": learning.task,
        "group": learning.group,
        "reference": learning.reference,
        "metric": learning.metric,
        "threshold": learning.threshold,
        "profile_thresholds": thresholds,
        "members": {member: _member(learning, member, thresholds) for member in learning.members()},
    }


def _member(learning: Learning, member: str, thresholds: Sequence[float]) -> dict[str, object]:
    scores, improvement = learning.scores(member), learning.improvement(member)
    return {
        "runs": [
            {"seed": each.seed, "score": each.score, "elapsed_ns": each.elapsed_ns, "reason": each.reason}
            for each in learning.trials
            if each.member == member
        ],
        "interquartile_mean": _numbers(learning.typical_score(member)),
        "probability_of_improvement": None if improvement is None else _numbers(improvement),
        "word": learning.word(member),
        "arrived": learning.reached(member),
        "median_time_ns": _numbers(learning.median_time(member)),
        "profile": stats.performance_profile(scores, thresholds) if scores else [],
    }


def _numbers(found: Estimate) -> list[float | None]:
    return [found.value, found.low, found.high]
