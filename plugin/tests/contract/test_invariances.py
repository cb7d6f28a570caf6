"""Every member of every room keeps the invariances that the room states; no line here knows a task."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_duet import parity
from pytest_duet.data import obtain
from pytest_duet.errors import Unavailable
from pytest_duet.measure import member as step
from pytest_duet.measure.member import Files
from pytest_duet.suite import group_keys, load_suite, make_group
from pytest_duet.workers.python import load_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_duet.plan import GroupPlan, MemberPlan

BENCHES = Path(__file__).resolve().parents[3] / "benches"
SUITE = load_suite(BENCHES)
CACHE = BENCHES.parent / ".duet" / "data"
SECONDS = 60.0

Arrays = dict[str, np.ndarray]


def _stated() -> Iterator[tuple[str, str, str, str]]:
    """Yield (task, algorithm, member, invariance) of everything that is stated, on the first workload that has it."""
    for path in sorted(BENCHES.glob("*/invariance.py")):
        task = path.parent.name
        for name, invariance in load_module(path.parent, "invariance").INVARIANCES.items():
            for algorithm in invariance.algorithms:
                for member in _plan(task, algorithm).members:
                    yield task, algorithm, member.name, name


def _plan(task: str, algorithm: str) -> GroupPlan:
    key = next(each for each in group_keys(task, SUITE.tasks[task]) if each.algorithm == algorithm)
    return make_group(SUITE, key, "smoke", CACHE)


@pytest.mark.parametrize(("task", "algorithm", "member", "invariance"), list(_stated()))
def test_what_is_stated_holds(task: str, algorithm: str, member: str, invariance: str, tmp_path: Path) -> None:
    group = _plan(task, algorithm)
    plan = group.member(member)
    if plan.unsound or plan.start.missing:
        pytest.skip(plan.unsound or plan.start.missing)
    stated = load_module(BENCHES / task, "invariance").INVARIANCES[invariance]
    arrays = {name: np.asarray(array) for name, array in group.data().arrays.items()}

    replaced, expect = stated.change(arrays, np.random.default_rng(1))
    before, after = _outputs(group, plan, [arrays, {**arrays, **replaced}], tmp_path)
    expected = expect(before)

    assert expected
    for name, array in expected.items():
        if array.dtype.kind == "f":
            assert stated.tolerance >= parity.close(array, after[name]), name
        else:
            assert stated.relabelled >= parity.labels(array, after[name]), name


def _outputs(group: GroupPlan, plan: MemberPlan, inputs: list[Arrays], folder: Path) -> list[Mapping[str, np.ndarray]]:
    """Return what a fresh worker of the member makes of each of `inputs`."""
    found = []
    try:
        client = step.open_client(plan, SECONDS)
    except Unavailable as error:
        pytest.skip(str(error))
    with closing(client):
        client.hello()
        for number, arrays in enumerate(inputs):
            data = obtain(folder / "data", f"{number}", lambda made=arrays: made)
            into = folder / str(number)
            into.mkdir()
            client.prepare(step.make_job(group, plan, Files(data.files, data.hashes, data.arrays, data.digest)))
            reply = client.verify(into)
            found.append(step.read_outputs(reply.outputs, reply.digest, into, plan.name))
    return found


def test_an_invariance_that_does_not_hold_is_found_out(tmp_path: Path) -> None:
    task, algorithm, member, _ = next(_stated())
    group = _plan(task, algorithm)
    arrays = {name: np.asarray(array) for name, array in group.data().arrays.items()}
    doubled = {name: 2 * array if array.dtype.kind == "f" else array for name, array in arrays.items()}

    before, after = _outputs(group, group.member(member), [arrays, doubled], tmp_path)

    assert any(parity.close(before[name], after[name]) > 0.1 for name in before if before[name].dtype.kind == "f")
