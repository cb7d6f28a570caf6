"""Train the members of a group once, to judge what they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.records.schema import Bound
from pytest_duet.validate.checkpoint import obtain_files
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.records.schema import GroupRecord

MODE: Final = "learn"
"""The mode of saved trainings, whose times are those of single calls."""


def train_group(group: BoundGroup, selected: Collection[str]) -> GroupRecord:
    """Train each of the `selected` members of `group` once, with the parameters that quality is judged by.

    The record has the quality of each, whatever it is, and the time of the one call. An error ends one member only.

    Raises:
        DuetError: the data cannot be obtained.
    """
    with LiveGroup(group, selected) as live:
        live.files = obtain_files(group)
        for member in live.ready().values():
            with live.blaming(member):
                member.open(group, live.stack)
                member.prepare(group, live.files, for_quality=True)
                reply, outputs = member.verify()
                member.iterations, member.converged = reply.iterations, reply.converged
                member.first_call_ns = reply.elapsed_ns
                member.quality = [
                    Bound(metric=metric, value=to_number(float(value)), floor=live.spec.limits.floor.get(metric))
                    for metric, value in group.qualities(outputs, live.files.arrays).items()
                ]
                member.close()
        return live.record(mode=MODE, timed=False)


def joined(before: GroupRecord | None, after: GroupRecord) -> GroupRecord:
    """Return `after` with the members of `before`, an earlier record of the same group, in front."""
    if before is None:
        return after
    return msgspec.structs.replace(
        after, members=[*before.members, *after.members], elapsed_ns=before.elapsed_ns + after.elapsed_ns
    )
