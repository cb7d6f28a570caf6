"""The identities that records, reports and saved runs share: names, groups and cases, as types and as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

NAME: Final = re.compile(r"[a-z0-9_]+")
"""The name of a task, algorithm, phase, workload or framework."""

MEMBER_NAME: Final = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)?")
"""The name of a member: a framework, or ``framework.variant``."""

_CASE: Final = re.compile(
    r"(?P<group>.*)/(?P<member>[^/@]+)(@threads=(?P<threads>[1-9][0-9]*))?(@device=(?P<device>[^/]+))?", re.DOTALL
)


def framework_of(member: str) -> str:
    """Return the framework part of a member's name: ``native.gram`` → ``native``."""
    return member.partition(".")[0]


def variant_of(member: str) -> str:
    """Return the variant part of a member's name, empty for the plain one: ``native.gram`` → ``gram``."""
    return member.partition(".")[2]


class GroupKey(msgspec.Struct, frozen=True):
    """The cases that differ only in framework and variant.

    An inline group has algorithm ``default``, phase ``call`` and, as its workload, the parameters pytest gave the
    benchmark; without parameters its workload is empty.
    """

    task: str
    algorithm: str
    phase: str
    workload: str

    @classmethod
    def of_task(cls, task: str, local_id: str) -> Self:
        """Return the group of `task` that `local_id` names: ``linear-train-diabetes``."""
        return cls(task, *local_id.split("-", 2))

    @property
    def local_id(self) -> str:
        """The id without the task, as pytest shows it: ``linear-train-diabetes``."""
        return f"{self.algorithm}-{self.phase}-{self.workload}"

    def __str__(self) -> str:
        """Return the id: ``regression/linear-train-diabetes``, only the task where there is no workload."""
        return f"{self.task}/{self.local_id}" if self.workload else self.task


def replaced_suffix(replaced: Mapping[str, object]) -> str:
    """Return what an id ends with where something of the spec is replaced: ``@rows=100@seed=3``."""
    return "".join(f"@{name}={value}" for name, value in replaced.items())


class CaseId(msgspec.Struct, frozen=True):
    """One member of one group, on so many threads of one device; `group` is the printed id of the group."""

    group: str
    member: str
    threads: int = 1
    device: str = "cpu"

    @property
    def task(self) -> str:
        """The task that the case belongs to."""
        return self.group.partition("/")[0]

    def __str__(self) -> str:
        """Return the id: ``cnn/lenet-train-digits/tch``, followed by threads and device where they are not the default."""
        threads = f"@threads={self.threads}" if self.threads != 1 else ""
        device = f"@device={self.device}" if self.device != "cpu" else ""
        return f"{self.group}/{self.member}{threads}{device}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the case that `text` names, None where it is not an id of ours: another tool's, for instance."""
        found = _CASE.fullmatch(text)
        if found is None:
            return None
        return cls(found["group"], found["member"], int(found["threads"] or 1), found["device"] or "cpu")
