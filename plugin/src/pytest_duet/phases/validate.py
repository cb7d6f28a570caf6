"""Phase 3, validate: check every member of a group against its spec and its reference, before anything is timed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.binding.bind import bind
from pytest_duet.binding.group import LiveGroup
from pytest_duet.measure.estimate import estimate_calls
from pytest_duet.phases.validation import Validation
from pytest_duet.validate.group import check_members
from pytest_duet.validate.scaling import check_scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Prewarmed
    from pytest_duet.spec.group import GroupSpec


def validate_members(live: LiveGroup, *, timed: bool, prewarmed: Prewarmed | None = None) -> None:
    """Check every member of `live`; with `timed`, also that its time grows with the work if the spec asks for that.

    That check takes times, so it waits until the `prewarmed` processes have started.

    Raises:
        DataError: the data cannot be obtained.
        SpecError: the spec turns out to be unusable.

    """
    check_members(live)
    if not timed:
        return
    if prewarmed is not None:
        live.progress("waiting for the processes that will be observed")
        prewarmed.settle()
    if live.spec.divide:
        estimate_calls(live)
        check_scaling(live)


def validate(
    spec: GroupSpec,
    selected: Collection[str],
    mode: Mode,
    benches: Path,
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Return the validation of the `selected` members of `spec`, for a measure phase in any process.

    Raises:
        DataError: the data cannot be obtained.
        SpecError: the spec turns out to be unusable.

    """
    with LiveGroup(bind(spec, benches, cache), selected, served=mode.fresh, progress=progress) as live:
        validate_members(live, timed=True)
        return Validation.of(live)
