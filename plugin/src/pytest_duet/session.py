"""A session: run groups one after the other, keep each as soon as it is finished, and save all of them at the end.

The pytest plugin, ``duet ab``, ``duet scale`` and ``duet learn`` are thin layers over it.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.analysis.gate import exit_status
from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.errors import StoreError
from pytest_duet.measure.mode import DIRECT
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.phases.analyse import analyse, now
from pytest_duet.phases.measure import measure_members
from pytest_duet.phases.validate import validate_members
from pytest_duet.records import machine, store
from pytest_duet.records.journal import Journal
from pytest_duet.records.schema import GroupRecord
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.exit_status import Exit
    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Upcoming
    from pytest_duet.records.schema import RunRecord


class Session(contextlib.AbstractContextManager["Session"]):
    """Runs groups and keeps their records; a context manager that closes the processes it started.

    `groups` holds the finished groups. `complete` is False after an interrupt. `errors` lists what could not be written;
    nothing else is lost by that. Runs are saved under `name`, by default the mode's. In records, the keys of `private`,
    paths of this machine, are replaced with their values, so that a saved run can be published.
    """

    def __init__(
        self,
        results: Path,
        profile: str,
        mode: Mode = DIRECT,
        *,
        name: str = "",
        progress: Callable[[str], None] = lambda _: None,
        private: Mapping[str, str] | None = None,
    ) -> None:
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the processes that wait for a next group, and the fork servers."""
        self._prewarmed.close()
        self._spawner.close()

    def check_writable(self) -> Path:
        """Check, before any time is spent, that a run can be saved; return its folder.

        Raises:
            StoreError: it cannot be saved.
        """
        return store.check_writable(self._results, machine.this_machine())

    @contextlib.contextmanager
    def interruptible(self) -> Iterator[None]:
        """End the block on Ctrl-C; the session keeps the finished groups."""
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
        keep: bool = True,
    ) -> GroupRecord:
        """Run the `selected` members of `group` and return their record; with `keep`, also keep it.

        Without `timed`, only parity and quality are checked. `mode` replaces the session's. `upcoming` is the next group.

        Raises:
            DuetError: the group as a whole cannot be run.
        """
        try:
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
        return self.keep(record, journal=timed) if keep else self.without_paths(record)

    def keep(self, record: GroupRecord, *, journal: bool = True) -> GroupRecord:
        """Add `record`, without private paths, to the finished groups and the journal, and return it.

        It replaces an earlier record of the same group.
        """
        record = self.without_paths(record)
        latest = {(each.id, each.threads, each.device): each for each in [*self.groups, record]}
        self.groups = list(latest.values())
        if journal:
            try:
                self._journal = self._journal or self._open_journal()
                self._journal.append(record)
            except StoreError as error:
                self.errors.append(str(error))
        return record

    def _open_journal(self) -> Journal:
        stamp = re.sub(r"[^0-9T]", "", self._created.partition("+")[0])
        # The process id distinguishes two sessions that start in the same second.
        name, here = f"journal-{stamp}-{os.getpid()}.jsonl", machine.this_machine()
        path = machine.folder(self._results, here) / name
        return Journal.open(path, machine=here, profile=self._profile, mode=self._name, created=self._created)

    def without_paths(self, record: GroupRecord) -> GroupRecord:
        """Return `record` with the private paths of this machine replaced in reasons and logs."""
        raw = msgspec.json.encode(record)
        for path, word in self._private.items():
            raw = raw.replace(path.encode(), word.encode())
        return msgspec.json.decode(raw, type=GroupRecord)

    def analysed(self, groups: Sequence[GroupRecord] | None = None) -> RunRecord:
        """Return the run of `groups`, by default the finished ones, with its comparisons."""
        return analyse(
            self.groups if groups is None else groups,
            machine.this_machine(),
            profile=self._profile,
            mode=self._name,
            complete=self.complete,
            created=self._created,
        )

    def save(self, run: RunRecord) -> Path | None:
        """Save `run`, delete the journal, and return the path; return None, and keep the journal, if it cannot be written."""
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
        """Return the exit status. With `strict`, an unavailable member counts. `decisions` is None without a gate."""
        statuses = {member.status for group in self.groups for member in group.members}
        unavailable = strict and "unavailable" in statuses
        return exit_status(decisions, advisory=advisory, unavailable=unavailable, storage_failed=bool(self.errors))


def run_group(
    group: BoundGroup,
    *,
    selected: Collection[str],
    timed: bool,
    mode: Mode = DIRECT,
    progress: Callable[[str], None] = lambda _: None,
    rng: random.Random | None = None,
    prewarmed: Prewarmed | None = None,
    spawner: Spawner | None = None,
    upcoming: Upcoming | None = None,
) -> GroupRecord:
    """Return the record of the `selected` members of `group`.

    Without `timed`, only parity and quality are checked. A reference that is not selected runs for parity and is not
    timed. `prewarmed` holds processes that an earlier call started for this group; this call starts those of the
    `upcoming` group there. `spawner` starts the timed processes if `mode` times fresh ones.

    Raises:
        DataError: the data cannot be obtained.
        SpecError: the spec turns out to be unusable.
    """
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(LiveGroup(group, selected, served=mode.fresh, progress=progress))
        spawner = spawner or stack.enter_context(Spawner())
        prewarmed = prewarmed or stack.enter_context(Prewarmed())
        validate_members(live, timed=timed, prewarmed=prewarmed)
        if timed:
            measure_members(live, mode, rng or random.Random(), spawner, prewarmed, upcoming)
        return live.record(mode=mode.name, timed=timed)
