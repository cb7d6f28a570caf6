"""Phase 4, measure: time the members that validation found sound, and observe what they use."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from pytest_duet.binding.bind import bind
from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.measure.convergence import time_convergence
from pytest_duet.measure.observe import observe_members
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.measure.time_group import time_group
from pytest_duet.validate.check_group import check_kept
from pytest_duet.validate.checkpoint import load_files
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Upcoming
    from pytest_duet.phases.validate import Validation
    from pytest_duet.records.schema import GroupRecord


def measure_members(
    live: LiveGroup,
    mode: Mode,
    rng: random.Random,
    spawner: Spawner,
    prewarmed: Prewarmed,
    upcoming: Upcoming | None = None,
) -> None:
    """Time every selected member of `live` that is ok; if the mode observes, observe each in its own process.

    During the observation, `prewarmed` starts a process for the `upcoming` group.
    """
    time_group(live, mode, spawner, check_kept, rng)
    time_convergence(live)
    # An observed process must have the machine to itself.
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
    """Return the record of a validated group; the validation may come from another process or a machine of the same kind.

    Raises:
        DataError: the data cannot be obtained.
        StoreError: the data differ from those that were validated.
    """
    group = bind(validation.document.spec, benches, cache)
    with (
        LiveGroup(group, validation.document.selected, served=mode.fresh, progress=progress) as live,
        Spawner() as spawner,
        Prewarmed() as prewarmed,
    ):
        load_files(live)
        validation.resume(live)
        measure_members(live, mode, rng or random.Random(), spawner, prewarmed)
        return live.record(mode=mode.name, timed=True)
