"""Phase 4, measure: time the members that validation found sound, and observe what they use."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from pytest_duet.binding.bind import bind
from pytest_duet.binding.group import LiveGroup
from pytest_duet.measure.convergence import time_convergence
from pytest_duet.measure.group import time_group
from pytest_duet.measure.observe import observe_members
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.phases.analyse import analyse, now
from pytest_duet.phases.files import RUN_SUFFIX, make_folder, slug
from pytest_duet.records import machine, store
from pytest_duet.validate.checkpoint import obtain_files
from pytest_duet.validate.group import check_kept
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Upcoming
    from pytest_duet.phases.validation import Validation
    from pytest_duet.records.schema import GroupRecord


def measure_members(
    live: LiveGroup,
    mode: Mode,
    rng: random.Random,
    spawner: Spawner,
    prewarmed: Prewarmed,
    upcoming: Upcoming | None = None,
) -> None:
    """Time every selected member of `live` that is ok; where `mode` says so, observe each in a process of its own.

    While they are observed, `prewarmed` starts a process for the `upcoming` group.
    """
    time_group(live, mode, spawner, check_kept, rng)
    time_convergence(live)
    # What is observed must have the machine to itself.
    live.close()
    if mode.observed:
        observe_members(live, prewarmed, upcoming)
        live.require_reference()


def measure(
    validation: Validation,
    mode: Mode,
    benches: Path,
    cache: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
    rng: random.Random | None = None,
) -> GroupRecord:
    """Return the record of a group that was validated, maybe by another process or on another machine of its kind.

    Raises:
        DataError: the data cannot be had.
        StoreError: the data are not those that were validated.

    """
    group = bind(validation.spec, benches, cache)
    with (
        LiveGroup(group, validation.selected, served=mode.fresh, progress=progress) as live,
        Spawner() as spawner,
        Prewarmed() as prewarmed,
    ):
        live.files = obtain_files(group)
        validation.resume(live)
        measure_members(live, mode, rng or random.Random(), spawner, prewarmed)
        return live.record(mode=mode.name, timed=True)


def measure_to_file(
    validation: Validation,
    mode: Mode,
    benches: Path,
    cache: Path,
    into: Path,
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Path, GroupRecord]:
    """Measure a validated group and write its run, of this group alone, into the folder `into`; return path and record.

    Raises:
        DuetError: as `measure`, or the file cannot be written.

    """
    path, created = make_folder(into) / f"{slug(validation.spec)}{RUN_SUFFIX}", now()
    record = measure(validation, mode, benches, cache, progress=progress)
    run = analyse(
        [record], machine.this_machine(), profile=record.profile, mode=mode.name, complete=True, created=created
    )
    store.write(run, path)
    return path, record
