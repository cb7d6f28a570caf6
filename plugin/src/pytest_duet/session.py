"""Keep what a session measures: each group in a journal as soon as it is finished, all of them as a saved run in the end.

Not for how either is written (``journal``, ``store``), and not for measuring.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_duet import __version__
from pytest_duet.analysis.comparison import compare_run
from pytest_duet.errors import StoreError
from pytest_duet.records import machine, store
from pytest_duet.records.journal import Journal
from pytest_duet.records.schema import SCHEMA, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_duet.records.schema import GroupRecord


class Recorder:
    """Keeps what one session measures under `results`; `errors` say what could not be written, which costs nothing else."""

    def __init__(self, results: Path, profile: str, mode: str) -> None:
        """Write nothing yet."""
        self.errors: list[str] = []
        self._results, self._profile, self._mode = results, profile, mode
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._journal: Journal | None = None

    def keep(self, group: GroupRecord) -> None:
        """Write the journal's line of a finished `group`."""
        try:
            if self._journal is None:
                self._journal = self._open_journal()
            self._journal.append(group)
        except StoreError as error:
            self.errors.append(str(error))

    def _open_journal(self) -> Journal:
        stamp = re.sub(r"[^0-9T]", "", self._created.partition("+")[0])
        # The process number tells apart two sessions of the same second.
        path = machine.folder(self._results, machine.this_machine()) / f"journal-{stamp}-{os.getpid()}.jsonl"
        return Journal.open(
            path, machine=machine.this_machine(), profile=self._profile, mode=self._mode, created=self._created
        )

    def run(self, groups: Sequence[GroupRecord], *, complete: bool) -> RunRecord:
        """Return the run that `groups` make, judged."""
        return RunRecord(
            schema=SCHEMA,
            created=self._created,
            version=__version__,
            machine=machine.this_machine(),
            profile=self._profile,
            mode=self._mode,
            complete=complete,
            groups=list(groups),
            comparisons=compare_run(groups),
        )

    def save(self, run: RunRecord) -> Path | None:
        """Write the result file, then drop the journal that it makes superfluous; return where it is, if it could be written."""
        try:
            path = store.save(run, self._results)
        except StoreError as error:
            self.errors.append(str(error))
            return None
        if self._journal is not None:
            self._journal.discard()
        return path
