"""Check that the time of a call grows with the work; if it does not, the member avoids the work in some way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_duet.errors import Refused
from pytest_duet.spec.derived import smaller
from pytest_duet.validate.checkpoint import with_checkpoint_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.binding.live_group import LiveGroup
    from pytest_duet.binding.member import Member

REFERENCE_GROWS: Final = 2.0
LEAST_GROWTH: Final = 1.2
_ATTEMPTS: Final = 3


def check_scaling(live: LiveGroup) -> None:
    """Give every member that is ok an eighth of the work, and compare the time it saves with what the reference saves."""
    if not live.spec.divide:
        return
    less = live.group.derived(smaller(live.spec))
    # The weights are those that were checked: only the work gets smaller.
    files = with_checkpoint_of(less.data_set(), live.files)
    for name, member in live.ready().items():
        live.progress(f"checking that the time of {name} grows with work")
        with live.blaming(member):
            member.scaled = check_growth(_attempts(live, member, less, files), live.reference.scaled, name=name)
    live.require_reference()


def check_growth(attempts: Iterable[float], reference_growth: float, *, name: str) -> float:
    """Refuse a member whose time hardly grows with the work although the reference's does; return its growth.

    `attempts` and `reference_growth` are the time of a call over that of one with an eighth of the work. Something may
    slow the machine during one attempt, so a member is refused only if all of them fall short, and the first that does
    not is the last.

    Raises:
        Refused: the reference grew at least `REFERENCE_GROWS` times, this member less than `LEAST_GROWTH` times.
    """
    most = 0.0
    for growth in attempts:
        most = max(most, growth)
        if most >= LEAST_GROWTH or reference_growth < REFERENCE_GROWS:
            return most
    msg = f"time of {name} does not grow with work: {most:.2f} times as long for eight times the work"
    raise Refused(f"{msg}, the reference {reference_growth:.2f} times")


def _attempts(live: LiveGroup, member: Member, less: BoundGroup, files: DataSet) -> Iterator[float]:
    """Yield the time of a call over that of one of `less`; after each attempt `member` has its own job prepared again."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            member.call_ns = member.pilot_ns(member.call_ns)
        member.prepare(less, files)
        small_ns = member.pilot_ns(member.call_ns)
        member.prepare(live.group, live.files)
        yield member.call_ns / small_ns
