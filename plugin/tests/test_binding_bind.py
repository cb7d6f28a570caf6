"""Binding imports what a task needs, and finds functions and data from the spec alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from pytest_duet.binding.bind import bind
from pytest_duet.binding.datasets import obtain
from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.errors import DataError, SpecError
from pytest_duet.spec.group import ConvergenceSpec, DataSpec, GroupSpec, LaunchSpec, MemberSpec
from pytest_duet.spec.schema import ParityRule
from pytest_duet.validate.check_group import check_members

from .fakes.groups import bound

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup

DIGEST = "ab" * 32
FUNCTIONS = """\
import numpy as np

def double(x):
    return 2 * x

def add(x):
    return x + x

def triple(x):
    return 3 * x

def same(a, b):
    assert np.array_equal(a, b), "they differ"
"""


def _spec(**changes: Any) -> GroupSpec:
    return bound([MemberSpec("a", "a", "", "reference", "rust", LaunchSpec("process"))], **changes).spec


def _bind_task(root: Path, spec: GroupSpec, **files: str) -> BoundGroup:
    """Bind `spec` to a task folder with `files`, the text of each by its name."""
    folder = root / "benches" / "t"
    folder.mkdir(parents=True)
    for name, text in {"data": "def make(params, rng):\n    return {}\n", **files}.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "task.toml").touch()
    return bind(spec, root / "benches", root / "cache")


def test_the_functions_of_the_task_are_imported(tmp_path: Path) -> None:
    group = _bind_task(
        tmp_path,
        _spec(data=DataSpec(params={"rows": 3})),
        data="def size(params):\n    return f'{params[\"rows\"]} rows'\ndef make(params, rng):\n    return {}\n",
        quality="def quality(algorithm, phase, outputs, data):\n    return {'f1': 0.5}\n",
    )
    assert "3 rows" == group.workload_size
    assert {"f1": 0.5} == group.qualities({}, {})
    assert None is group.objective


def test_a_check_of_the_task_replaces_the_shared_check_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "benches").mkdir()
    (tmp_path / "benches" / "checks.py").write_text("CHECKS = {'shared': 'shared', 'both': 'shared'}\n")
    group = _bind_task(tmp_path, _spec(), check="CHECKS = {'own': 'task', 'both': 'task'}\n")
    assert {"shared": "shared", "own": "task", "both": "task"} == group.checks


def test_a_convergence_without_an_objective_is_a_spec_error(tmp_path: Path) -> None:
    spec = _spec(convergence=ConvergenceSpec("tol", (0.1,), gap=0.01))
    with pytest.raises(
        SpecError, match=r"quality\.py: \[\[convergence\]\] needs a function objective there; write one"
    ):
        _bind_task(tmp_path, spec, quality="")


def _inline(root: Path) -> GroupSpec:
    """Return the spec of a group of functions in a file, as it is after a detour through JSON."""
    (root / "functions.py").write_text(FUNCTIONS)
    rule = ParityRule(output="*", check="pair", tolerance=0.0)
    members = [
        MemberSpec(
            name,
            name,
            "",
            "rival" if name != "double" else "reference",
            "python",
            LaunchSpec("direct", function=f"functions.py::{name}"),
            parity=(rule,),
        )
        for name in ("double", "add", "triple")
    ]
    spec = bound(members, data=DataSpec(digest=DIGEST), judged=False, check="functions.py::same").spec
    return msgspec.json.decode(spec.to_json(), type=GroupSpec)


def test_functions_and_their_check_are_bound_by_file_and_name(tmp_path: Path) -> None:
    spec = _inline(tmp_path)
    obtain(tmp_path / "cache", DIGEST, lambda: {"x": np.arange(3.0)})

    with LiveGroup(bind(spec, tmp_path / "benches", tmp_path / "cache"), ["double", "add", "triple"]) as live:
        check_members(live)

    assert ["ok", "ok", "failed"] == [each.status for each in live.members.values()]
    assert live.members["triple"].reason.startswith("check same refused the result: they differ")


def test_an_inline_group_uses_nothing_of_a_task_folder_with_its_name(tmp_path: Path) -> None:
    unused = dict.fromkeys(("data", "quality", "check"), "raise AssertionError('imported')\n")
    spec = msgspec.structs.replace(_inline(tmp_path), check="")
    group = _bind_task(tmp_path, spec, **unused)
    assert ({}, None, None, "") == (group.checks, group.quality, group.objective, group.workload_size)


def test_data_that_only_another_machine_has_is_an_error_with_the_remedy(tmp_path: Path) -> None:
    group = bind(_inline(tmp_path), tmp_path / "benches", tmp_path / "cache")
    with pytest.raises(DataError, match=r"cache: holds no data set abababababab of t/default-call-1; copy it from"):
        group.data_set()
