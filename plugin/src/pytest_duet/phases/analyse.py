"""Phase 5, analyse: combine the records of groups into a run with its comparisons."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_duet import __version__
from pytest_duet.analysis.comparison import compare_run
from pytest_duet.errors import StoreError
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
    """Return the run of `groups`, with each rival compared with its reference."""
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


def merge(runs: Sequence[RunRecord]) -> RunRecord:
    """Return one run of all groups in `runs`, which were measured under the same conditions.

    Raises:
        StoreError: machines, profiles or modes differ, or a group occurs twice.
    """
    first = runs[0]
    for run in runs[1:]:
        for what, ours, theirs in (
            ("machines", first.machine.fingerprint, run.machine.fingerprint),
            ("profiles", first.profile, run.profile),
            ("modes", first.mode, run.mode),
        ):
            if ours != theirs:
                raise StoreError(
                    f"the runs are of different {what}, {ours} and {theirs}, which are never pooled; name those of one"
                )
    groups = [group for run in runs for group in run.groups]
    seen = Counter((group.id, group.threads, group.device) for group in groups)
    for (group, *_), count in seen.items():
        if count > 1:
            raise StoreError(f"{group}: is in {count} of the runs; name one of them")
    return analyse(
        groups,
        first.machine,
        profile=first.profile,
        mode=first.mode,
        complete=all(run.complete for run in runs),
        created=min(run.created for run in runs),
    )
