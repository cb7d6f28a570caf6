"""What members learnt over several seeds, as plain text and as numbers.

Not for the statistics (``stats.learning``), and not for one training: ``terminal`` shows that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.report.escape import for_line
from pytest_duet.stats import learning as stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.stats.results import Estimate

PROFILE_POINTS: Final = 11


@dataclass(frozen=True)
class Trial:
    """One training: what it earned and how long the call took, or the reason why there is neither."""

    member: str
    seed: int
    score: float | None
    elapsed_ns: int | None
    reason: str = ""


@dataclass
class Learning:
    """All trainings of one group; `threshold` is what a run must earn to arrive."""

    task: str
    group: str
    reference: str
    metric: str
    threshold: float
    trials: list[Trial] = field(default_factory=list)

    def members(self) -> list[str]:
        """Return the members in the order they were trained."""
        return list(dict.fromkeys(trial.member for trial in self.trials))

    def scores(self, member: str) -> list[float]:
        """Return what each run of a member earned; one that failed earned nothing that can be compared."""
        return [trial.score for trial in self.trials if trial.member == member and trial.score is not None]

    def times(self, member: str) -> list[float | None]:
        """Return how long each run took, None where it did not arrive, as one that failed did not."""
        return [
            trial.elapsed_ns if trial.score is not None and trial.score >= self.threshold else None
            for trial in self.trials
            if trial.member == member
        ]

    def improvement(self, member: str) -> Estimate:
        """Return how probable it is that a run of a member earns more than one of the reference."""
        return stats.probability_of_improvement(self.scores(member), self.scores(self.reference))

    def word(self, member: str) -> str:
        """Return what may be said of a member against the reference."""
        if any(trial.reason for trial in self.trials if trial.member in {member, self.reference}):
            return "not comparable: a run failed"
        seeds = min(len(self.scores(member)), len(self.scores(self.reference)))
        return stats.word(self.improvement(member), seeds)


def document(learning: Learning) -> dict[str, object]:
    """Return every run and what follows from them as plain numbers; intervals are [value, low, high]."""
    everything = [score for member in learning.members() for score in learning.scores(member)]
    thresholds = _evenly(min(everything, default=0.0), max(everything, default=0.0))
    members = {}
    for member in learning.members():
        scores = learning.scores(member)
        members[member] = {
            "runs": [
                {"seed": each.seed, "score": each.score, "elapsed_ns": each.elapsed_ns, "reason": each.reason}
                for each in learning.trials
                if each.member == member
            ],
            "interquartile_mean": _numbers(stats.interquartile_mean([scores])),
            "probability_of_improvement": None
            if member == learning.reference
            else _numbers(learning.improvement(member)),
            "word": None if member == learning.reference else learning.word(member),
            "arrived": sum(time is not None for time in learning.times(member)),
            "median_time_ns": _numbers(stats.median_time(learning.times(member))),
            "profile": stats.performance_profile(scores, thresholds) if scores else [],
        }
    return {
        "task": learning.task,
        "group": learning.group,
        "reference": learning.reference,
        "metric": learning.metric,
        "threshold": learning.threshold,
        "profile_thresholds": thresholds,
        "members": members,
    }


def render(learning: Learning) -> str:
    """Return one line a member: what the middle half of its runs earned, how often it is better, who arrived and when."""
    head = [
        "member",
        f"{learning.metric}: interquartile mean [95 %]",
        f"better than {learning.reference} [95 %]",
        "verdict",
        f"reached {learning.threshold:g}",
        "median time to it",
    ]
    rows = [head, *(_row(learning, member) for member in learning.members())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [f"{learning.task} · {learning.group}: {len(learning.times(learning.reference))} seeds", ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [
        "",
        "Times are of single trainings, not in turns: no ratio is made of them. A run that did not arrive counts as",
    ]
    lines += ["later than any that did."]
    failed = [each for each in learning.trials if each.reason]
    lines += [for_line(f"{each.member}, seed {each.seed}: {each.reason}") for each in failed]
    return "\n".join(lines) + "\n"


def _row(learning: Learning, member: str) -> list[str]:
    times = learning.times(member)
    arrived = f"{sum(time is not None for time in times)} of {len(times)}"
    is_reference = member == learning.reference
    median = stats.median_time(times).value
    return [
        for_line(member),
        _interval(stats.interquartile_mean([learning.scores(member)]), ".1f"),
        "–" if is_reference else _interval(learning.improvement(member), ".2f"),
        "reference" if is_reference else learning.word(member),
        arrived,
        "not reached" if median is None else units.duration(median),
    ]


def _interval(found: Estimate, form: str) -> str:
    if found.value is None:
        return "–"
    if found.low is None or found.high is None:
        return f"{found.value:{form}}"
    return f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"


def _numbers(found: Estimate) -> list[float | None]:
    return [found.value, found.low, found.high]


def _evenly(low: float, high: float) -> Sequence[float]:
    return [low + (high - low) * point / (PROFILE_POINTS - 1) for point in range(PROFILE_POINTS)]
