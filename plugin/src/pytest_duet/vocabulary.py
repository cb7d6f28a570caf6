"""The closed sets of words that records, reports and messages share; docs/glossary.md explains each.

Not for numbers: ``units`` formats those.
"""

from __future__ import annotations

from typing import Literal

Status = Literal[
    "ok",
    "failed",
    "timeout",
    "crashed",
    "killed",
    "oom",
    "protocol",
    "invalid",
    "unavailable",
    "interrupted",
    "skipped",
]
Role = Literal["reference", "rival", "context"]
Language = Literal["python", "rust"]
Verdict = Literal["faster", "slower", "equivalent", "inconclusive", "not comparable"]
Side = Literal["ok", "bad", "missing"]
Decision = Literal["passed", "regression", "cannot decide", "invalid"]
