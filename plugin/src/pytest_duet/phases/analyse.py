"""Phase 5, analyse: from the records of groups to a run with its comparisons."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_duet import __version__
from pytest_duet.analysis.comparison import compare_run
from pytest_duet.records.schema import SCHEMA, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_duet.records.schema import GroupRecord, Machine


def now() -> str:
    """Return the time in UTC as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def analyse(
    groups: Sequence[GroupRecord], machine: Machine, *, profile: str, mode: str, complete: bool, created: str
) -> RunRecord:
    """Return the run that `groups` make, each rival compared with its reference."""
    return RunRecord(
        schema=SCHEMA,
        created=created,
        version=__version__,
        machine=machine,
        profile=profile,
        mode=mode,
        complete=complete,
        groups=list(groups),
        comparisons=compare_run(groups),
    )
