"""Bound groups without a suite: members that carry their own launch, and nothing to check or to read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_duet.binding.bind import BoundGroup
from pytest_duet.spec.group import GroupSpec, LaunchSpec, MemberSpec
from pytest_duet.spec.schema import Profile


def bound(members: list[MemberSpec], **changes: Any) -> BoundGroup:
    """Return a group of `members`; `changes` replace fields of its spec."""
    fields: dict[str, Any] = {
        "id": "t/default-call-1",
        "task": "t",
        "algorithm": "default",
        "phase": "call",
        "workload": "1",
        "reference": members[0].name,
        "members": tuple(members),
        "dtype": "f64",
        "profile": "smoke",
        "budget": Profile(observe_seconds=0.05),
    }
    return BoundGroup(
        spec=GroupSpec(**{**fields, **changes}),
        cache=Path("unused"),
        data=lambda spec: None,  # type: ignore[arg-type,return-value]  # no test reads it
        quality=None,
        objective=None,
        checks={},
        launches={each.name: each.launch or LaunchSpec("process") for each in members},
        hosts={},
    )
