"""The closed sets of words that records, reports and messages share; docs/glossary.md explains each."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Role = Literal["reference", "rival", "context"]
Language = Literal["python", "rust"]
Verdict = Literal["faster", "slower", "equivalent", "inconclusive", "not comparable"]
Side = Literal["ok", "bad", "missing"]
Decision = Literal["passed", "regression", "cannot decide", "invalid"]
Outcome = Literal["passed", "failed", "skipped"]
Status = Literal[
    "ok",
    "failed",
    "timeout",
    "crashed",
    "killed",
    "protocol",
    "invalid",
    "unavailable",
    "interrupted",
    "skipped",
]


class Meaning(NamedTuple):
    """What follows from a status: how pytest reports the test, what a gate sees, and what it says in one line."""

    outcome: Outcome
    side: Side
    text: str


STATUSES: Final[dict[Status, Meaning]] = {
    "ok": Meaning("passed", "ok", "it ran and passed every check"),
    "failed": Meaning("failed", "bad", "it reported an error, or failed attestation, parity or quality"),
    "timeout": Meaning("failed", "bad", "a request took longer than its deadline"),
    "crashed": Meaning("failed", "bad", "its process ended by itself, or panicked"),
    "killed": Meaning("failed", "bad", "its process was killed from outside, maybe for memory"),
    "protocol": Meaning("failed", "bad", "its process wrote something other than the expected reply"),
    "invalid": Meaning("failed", "bad", "its numbers cannot be right"),
    "unavailable": Meaning("skipped", "missing", "it cannot be run here"),
    "interrupted": Meaning("failed", "missing", "the session ended before it was measured"),
    "skipped": Meaning("skipped", "missing", "it was left out on purpose"),
}
"""Every status, in the order in which reports list them."""
