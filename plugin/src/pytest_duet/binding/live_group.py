"""The members of one group while they are alive, from their launch to the group's record."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from pytest_duet.binding.member import Member, unmeasured
from pytest_duet.errors import MemberError, Skipped
from pytest_duet.records.schema import GroupRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.records.schema import MemberRecord
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.vocabulary import Status


class LiveGroup(AbstractContextManager["LiveGroup"]):
    """The members of one group that take part: those selected, and the reference, with which the others are compared.

    With `served` every member has a process of its own. A phase sets `files`. As a context manager it closes the workers.
    """

    files: DataSet

    def __init__(
        self,
        group: BoundGroup,
        selected: Collection[str],
        *,
        served: bool = False,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.group, self.selected = group, frozenset(selected)
        self.stack, self.served = ExitStack(), served
        reference = group.spec.reference
        rivals = [each.name for each in group.spec.members if each.name in selected and each.name != reference]
        self.members = {name: Member(group.spec.member(name)) for name in [reference, *rivals]}
        self.flags: list[str] = []
        self._progress = progress
        self.started_ns = time.monotonic_ns()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the workers; what is known of the members stays."""
        self.stack.close()

    @property
    def spec(self) -> GroupSpec:
        """The group's spec."""
        return self.group.spec

    @property
    def reference(self) -> Member:
        """The member with which the others are compared."""
        return self.members[self.spec.reference]

    def elapsed_ns(self) -> int:
        """Return the time this group has taken so far."""
        return time.monotonic_ns() - self.started_ns

    def ready(self) -> dict[str, Member]:
        """Return the selected members that are ok, by name."""
        return {name: each for name, each in self.members.items() if each.is_ok and name in self.selected}

    def progress(self, what: str) -> None:
        """Report what this group is doing."""
        self._progress(f"{self.spec.id}: {what}")

    @contextmanager
    def blaming(self, member: Member) -> Iterator[None]:
        """Make a `MemberError` raised inside the status of `member`; the others go on."""
        try:
            yield
        except MemberError as error:
            member.fail(error)

    def require_reference(self) -> None:
        """Skip every member if the reference has failed: there is nothing to compare them with."""
        if self.reference.is_ok:
            return
        for member in self.members.values():
            if member.is_ok:
                member.fail(Skipped(f"not comparable: reference {self.spec.reference} {self.reference.status}"))

    def record(self, *, mode: str, timed: bool) -> GroupRecord:
        """Return the record of the selected members."""
        flags = list(self.flags)
        for name, member in self.members.items():
            if member.left_behind:
                what = "a process" if member.left_behind == 1 else f"{member.left_behind} processes"
                flags.append(
                    f"{name} left {what} behind, ended since; such a process may have worked while others were timed"
                )
        return _group_record(
            self.spec,
            [member.record() for name, member in self.members.items() if name in self.selected],
            mode=mode,
            workload_size=self.group.workload_size,
            data_digest=self.files.digest,
            verified_only=not timed,
            elapsed_ns=self.elapsed_ns(),
            flags=flags,
        )


def unmeasured_group(spec: GroupSpec, selected: Collection[str], status: Status, reason: str, mode: str) -> GroupRecord:
    """Return the record of a group none of whose `selected` members was measured."""
    members = [unmeasured(each, status, reason) for each in spec.members if each.name in selected]
    return _group_record(spec, members, mode=mode, workload_size="", data_digest="", verified_only=False, elapsed_ns=0)


def _group_record(spec: GroupSpec, members: list[MemberRecord], **others: Any) -> GroupRecord:
    """Return the record of a group: every field that its spec has too, its `members`, and the `others`."""
    planned = {name: getattr(spec, name) for name in GroupRecord.__struct_fields__ if hasattr(spec, name)}
    return GroupRecord(**{**planned, "members": members, **others})
