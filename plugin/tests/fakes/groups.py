"""Bound groups without a suite: members that carry their own launch, and no data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_duet.binding.bind import BoundGroup
from pytest_duet.binding.datasets import DataSet
from pytest_duet.spec.group import GroupSpec, LaunchSpec, MemberSpec
from pytest_duet.spec.schema import ParityRule, Profile
from pytest_duet.workers.python import function_host

if TYPE_CHECKING:
    from collections.abc import Callable


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
        data=lambda _: DataSet("no data", {}, {}, {}),
        quality=None,
        objective=None,
        checks={},
        launches={each.name: each.launch or LaunchSpec("process") for each in members},
        hosts={},
    )


def called(*functions: Callable[..., Any], unsound: str = "", **changes: Any) -> BoundGroup:
    """Return a group of `functions` that are called in this process; the first is the reference, `unsound` the last."""
    rules = (ParityRule(output="*", tolerance=1e-9),)
    members = [
        MemberSpec(
            function.__name__,
            function.__name__,
            "",
            "rival" if index else "reference",
            "python",
            LaunchSpec("direct"),
            params=changes.get("params", {}),
            parity=rules,
            unsound=unsound if function is functions[-1] else "",
        )
        for index, function in enumerate(functions)
    ]
    group = bound(members, **{name: value for name, value in changes.items() if name != "params"})
    return replace(group, hosts={each.__name__: partial(function_host, each, "t") for each in functions})
