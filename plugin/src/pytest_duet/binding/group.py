"""The members of one group while they are alive, from their launch to the group's record."""

from __future__ import annotations

import contextlib
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_duet.binding.member import Member, unmeasured
from pytest_duet.errors import MemberError, Skipped
from pytest_duet.records.schema import GroupRecord, MemberRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from typing import Self

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.member import Files
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.vocabulary import Status

    Progress = Callable[[str], None]


class LiveGroup:
    """The members of one group that take part: those selected, and the reference, which the others are held against.

    With `served` every member has a process of its own. `files` are there once a phase has obtained them. A context
    manager: it closes the workers.
    """

    files: Files

    def __init__(
        self,
        group: BoundGroup,
        selected: Collection[str],
        *,
        served: bool = False,
        progress: Progress = lambda _: None,
    ) -> None:
        """Launch nothing yet."""
        self.group, self.selected = group, frozenset(selected)
        self.stack, self.served = ExitStack(), served
        reference = group.spec.reference
        rivals = [each.name for each in group.spec.members if each.name in selected and each.name != reference]
        self.members = {name: Member(group.spec.member(name)) for name in [reference, *rivals]}
        self.flags: list[str] = []
        self._progress = progress
        self.started_ns = time.monotonic_ns()

    def __enter__(self) -> Self:
        """Return the group itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the workers."""
        self.close()

    def close(self) -> None:
        """Close the workers that run; what is known of the members stays."""
        self.stack.close()

    @property
    def spec(self) -> GroupSpec:
        """The group's spec."""
        return self.group.spec

    @property
    def reference(self) -> Member:
        """The member the others are held against."""
        return self.members[self.spec.reference]

    def elapsed_ns(self) -> int:
        """Return the time this group has taken so far."""
        return time.monotonic_ns() - self.started_ns

    def ready(self) -> dict[str, Member]:
        """Return the selected members that are ok, by name."""
        return {name: each for name, each in self.members.items() if each.is_ok and name in self.selected}

    def progress(self, what: str) -> None:
        """Report what is going on in this group."""
        self._progress(f"{self.spec.id}: {what}")

    @contextlib.contextmanager
    def blaming(self, member: Member) -> Iterator[None]:
        """Turn what goes wrong inside into the member's own status; the others go on."""
        try:
            yield
        except MemberError as error:
            member.fail(error)

    def require_reference(self) -> None:
        """Skip every member once the reference has failed: there is nothing to compare it with."""
        if self.reference.is_ok:
            return
        for member in self.members.values():
            if member.is_ok:
                member.fail(Skipped(f"not comparable: reference {self.spec.reference} {self.reference.status}"))

    def record(self, *, mode: str, timed: bool) -> GroupRecord:
        """Return the record of the selected members."""
        return group_record(
            self.spec,
            [member.record() for name, member in self.members.items() if name in self.selected],
            mode=mode,
            workload_size=self.group.workload_size,
            data_digest=self.files.digest,
            verified_only=not timed,
            elapsed_ns=self.elapsed_ns(),
            flags=[*self.flags, *_left_behind(self.members.values())],
        )


def group_record(
    spec: GroupSpec,
    members: Sequence[MemberRecord],
    *,
    mode: str,
    workload_size: str = "",
    data_digest: str = "",
    verified_only: bool = False,
    elapsed_ns: int = 0,
    flags: Sequence[str] = (),
) -> GroupRecord:
    """Return the record of a group as its spec describes it, with what became of its members."""
    return GroupRecord(
        id=spec.id,
        task=spec.task,
        algorithm=spec.algorithm,
        phase=spec.phase,
        workload=spec.workload,
        workload_size=workload_size,
        threads=spec.threads,
        device=spec.device,
        dtype=spec.dtype,
        mode=mode,
        profile=spec.profile,
        margin=spec.margin,
        margins=dict(spec.margins),
        reference=spec.reference,
        data_digest=data_digest,
        verified_only=verified_only,
        elapsed_ns=elapsed_ns,
        members=list(members),
        flags=list(flags),
    )


def unmeasured_group(spec: GroupSpec, selected: Collection[str], status: Status, reason: str, mode: str) -> GroupRecord:
    """Return the record of a group none of whose `selected` members was measured."""
    members = [unmeasured(each, status, reason) for each in spec.members if each.name in selected]
    return group_record(spec, members, mode=mode)


def _left_behind(members: Iterable[Member]) -> Iterator[str]:
    """Yield what a reader must know of members whose processes outlived them."""
    for member in members:
        if member.left_behind:
            what = "a process" if member.left_behind == 1 else f"{member.left_behind} processes"
            yield f"{member.name} left {what} behind, ended since; such a process may have worked while others were timed"
