"""The exit statuses of ``pytest`` sessions with benchmarks and of every ``duet`` command."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """One status each; 0 to 4 mean what they mean to pytest, whose own end at 6."""

    PASSED = 0
    FAILED = 1
    INTERRUPTED = 2
    USAGE = 4
    REGRESSION = 10
    CANNOT_DECIDE = 11
    INVALID = 12
    UNAVAILABLE = 13
    STORAGE_FAILED = 14
