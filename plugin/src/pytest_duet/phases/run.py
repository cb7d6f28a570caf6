"""Run all phases of one group in one process: validate, then measure with the workers that validation launched."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_duet.binding.group import LiveGroup
from pytest_duet.measure.mode import DIRECT
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.phases.measure import measure_members
from pytest_duet.phases.validate import validate_members
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Upcoming
    from pytest_duet.records.schema import GroupRecord


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
    with ExitStack() as stack:
        live = stack.enter_context(LiveGroup(group, selected, served=mode.fresh, progress=progress))
        spawner = spawner or stack.enter_context(Spawner())
        prewarmed = prewarmed or stack.enter_context(Prewarmed())
        validate_members(live, timed=timed, prewarmed=prewarmed)
        if timed:
            measure_members(live, mode, rng or random.Random(), spawner, prewarmed, upcoming)
        return live.record(mode=mode.name, timed=timed)
