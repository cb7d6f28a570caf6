"""A session: runs groups one after the other, keeps each as soon as it is finished, and saves all of them in the end.

The pytest plugin, ``duet ab``, ``duet scale`` and ``duet learn`` are thin layers over it.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.analysis.gate import exit_status
from pytest_duet.errors import StoreError
from pytest_duet.measure.mode import DIRECT
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.phases.analyse import analyse, now
from pytest_duet.phases.run import run_group
from pytest_duet.records import store
from pytest_duet.records.journal import Journal
from pytest_duet.records.schema import GroupRecord
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from typing import Self

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.exit_status import Exit
    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Upcoming
    from pytest_duet.records.schema import RunRecord

    Progress = Callable[[str], None]
    Run = Callable[[BoundGroup, Collection[str]], GroupRecord]
    """Takes a group and the names of the selected members, returns their record."""


class Session:
    """Runs groups and keeps their records; a context manager, which closes the processes it has started.

    `groups` are the finished ones. `complete` is False once the session was interrupted. `errors` say what could not be
    written, which costs nothing else.
    """

    def __init__(
        self,
        results: Path,
        profile: str,
        mode: Mode = DIRECT,
        *,
        name: str = "",
        progress: Progress = lambda _: None,
        private: Mapping[str, str] | None = None,
    ) -> None:
        """Run nothing yet.

        `name` is what runs of this kind are saved under where it is not the mode's. `private` are paths of this machine
        with the word that takes their place in records: a saved run may be shown to anybody.
        """
        self.groups: list[GroupRecord] = []
        self.complete = True
        self.errors: list[str] = []
        self._results, self._profile, self._mode = results, profile, mode
        self._name = name or mode.name
        self._progress = progress
        self._private = {**(private or {}), f"{Path.home()}/": "~/"}
        self._created = now()
        self._journal: Journal | None = None
        self._spawner, self._prewarmed = Spawner(), Prewarmed()

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was started."""
        self.close()

    def close(self) -> None:
        """Close processes that wait for a group that will not come, and those that workers are forked from."""
        self._prewarmed.close()
        self._spawner.close()

    def check_writable(self) -> Path:
        """Prove, before any time is spent, that a run can be saved; return the folder it will go to.

        Raises:
            StoreError: it cannot be.

        """
        return store.check_writable(self._results, store.machine())

    # --- running ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """End what is inside on Ctrl-C without losing what was finished."""
        try:
            yield
        except KeyboardInterrupt:
            self.complete = False

    def run(
        self,
        group: BoundGroup,
        selected: Collection[str],
        *,
        timed: bool = True,
        mode: Mode | None = None,
        upcoming: Upcoming | None = None,
        by: Run | None = None,
        keep: bool = True,
    ) -> GroupRecord:
        """Run the `selected` members of `group` and return their record; unless told not to, keep it.

        Without `timed` parity and quality are checked and nothing is kept in the journal. `mode` is the session's unless
        given. `upcoming` is the group that comes next. `by` runs the group in another way than by all phases.

        Raises:
            DuetError: the group as a whole cannot be run.

        """
        try:
            if by is not None:
                record = by(group, selected)
            else:
                record = run_group(
                    group,
                    selected=selected,
                    timed=timed,
                    mode=mode or self._mode,
                    progress=self._progress,
                    prewarmed=self._prewarmed,
                    spawner=self._spawner,
                    upcoming=upcoming,
                )
        finally:
            self._progress("")
        record = self.without_paths(record)
        if keep:
            self.keep(record, journal=timed or by is not None)
        return record

    def keep(self, record: GroupRecord, *, journal: bool = True) -> None:
        """Count `record` as finished, in place of an earlier one of the same group, and write its line of the journal."""
        same = [at for at, each in enumerate(self.groups) if _key(each) == _key(record)]
        if same:
            self.groups[same[0]] = record
        else:
            self.groups.append(record)
        if not journal:
            return
        try:
            if self._journal is None:
                self._journal = self._open_journal()
            self._journal.append(record)
        except StoreError as error:
            self.errors.append(str(error))

    def _open_journal(self) -> Journal:
        stamp = re.sub(r"[^0-9T]", "", self._created.partition("+")[0])
        # The process number tells apart two sessions of the same second.
        path = store.folder(self._results, store.machine()) / f"journal-{stamp}-{os.getpid()}.jsonl"
        return Journal.open(
            path, machine=store.machine(), profile=self._profile, mode=self._name, created=self._created
        )

    def without_paths(self, record: GroupRecord) -> GroupRecord:
        """Return `record` with the paths of this machine taken out of reasons and logs."""
        raw = msgspec.json.encode(record)
        for path, word in self._private.items():
            raw = raw.replace(path.encode(), word.encode())
        return msgspec.json.decode(raw, type=GroupRecord)

    # --- the end ------------------------------------------------------------------------------------------------------

    def analysed(self, groups: Sequence[GroupRecord] | None = None) -> RunRecord:
        """Return the run that `groups`, or else the finished ones, make."""
        return analyse(
            self.groups if groups is None else groups,
            store.machine(),
            profile=self._profile,
            mode=self._name,
            complete=self.complete,
            created=self._created,
        )

    def save(self, run: RunRecord) -> Path | None:
        """Save `run`, then drop the journal it makes superfluous; return where it is, None where it cannot be written."""
        try:
            path = store.save(run, self._results)
        except StoreError as error:
            self.errors.append(str(error))
            return None
        if self._journal is not None:
            self._journal.discard()
        return path

    def status(
        self, decisions: Sequence[Decided] | None = None, *, advisory: bool = False, strict: bool = False
    ) -> Exit:
        """Return the exit status; with `strict` an unavailable member counts. `decisions` are a gate's, None without one."""
        unavailable = strict and any(
            member.status == "unavailable" for group in self.groups for member in group.members
        )
        return exit_status(decisions, advisory=advisory, unavailable=unavailable, storage_failed=bool(self.errors))


def _key(group: GroupRecord) -> tuple[str, int, str]:
    return group.id, group.threads, group.device
