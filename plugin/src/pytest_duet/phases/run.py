"""All phases of one group in one process: validate, then measure with the workers that validation has launched."""

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
    """Return the record of the members of `group` whose names are in `selected`.

    Without `timed` parity and quality are checked and nothing else. A reference that was not selected runs for parity
    alone and is not timed. `prewarmed` holds processes that an earlier call started for this one, and that this one
    starts for `upcoming` members. `spawner` starts those that are timed where `mode` wants fresh ones.

    Raises:
        DataError: the data cannot be had.
        SpecError: the spec turns out unusable.

    """
    with ExitStack() as stack:
        live = stack.enter_context(LiveGroup(group, selected, served=mode.fresh, progress=progress))
        spawner = spawner or stack.enter_context(Spawner())
        prewarmed = prewarmed or stack.enter_context(Prewarmed())
        validate_members(live, timed=timed, prewarmed=prewarmed)
        if timed:
            measure_members(live, mode, rng or random.Random(), spawner, prewarmed, upcoming)
        return live.record(mode=mode.name, timed=timed)
