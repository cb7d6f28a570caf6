"""Every member keeps the invariances that its task folder states; nothing here depends on a task."""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_duet.binding.bind import bind
from pytest_duet.binding.datasets import obtain
from pytest_duet.binding.member import make_job, open_client, read_outputs
from pytest_duet.errors import Unavailable
from pytest_duet.spec.resolve import group_spec
from pytest_duet.spec.suite import group_keys, load_suite
from pytest_duet.validate import parity
from pytest_duet.workers.python import load_module

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_duet.binding.bind import BoundGroup

BENCHES = Path(__file__).resolve().parents[3] / "benches"
SUITE = load_suite(BENCHES)
CACHE = BENCHES.parent / ".duet" / "data"
EXAMPLES = 3

Arrays = dict[str, np.ndarray]


def _stated() -> Iterator[tuple[str, str, str, str]]:
    """Yield (task, algorithm, member, invariance) of every stated invariance, on its workload."""
    for path in sorted(BENCHES.glob("*/invariance.py")):
        task = path.parent.name
        for name, invariance in load_module(path.parent, "invariance").INVARIANCES.items():
            for algorithm in invariance.algorithms:
                for member in _plan(task, algorithm, invariance.workload).spec.members:
                    yield task, algorithm, member.name, name


def _plan(task: str, algorithm: str, workload: str) -> BoundGroup:
    keys = (each for each in group_keys(task, SUITE.tasks[task]) if each.algorithm == algorithm)
    key = next(key for key in keys if workload in {"", key.workload})
    return bind(group_spec(SUITE, key, "smoke"), BENCHES, CACHE)


@pytest.mark.parametrize(("task", "algorithm", "member", "invariance"), list(_stated()))
def test_a_stated_invariance_holds(task: str, algorithm: str, member: str, invariance: str, tmp_path: Path) -> None:
    stated = load_module(BENCHES / task, "invariance").INVARIANCES[invariance]
    group = _plan(task, algorithm, stated.workload)
    why = group.spec.member(member).unsound or group.launches[member].missing
    if why:
        pytest.skip(why)
    arrays = {name: np.asarray(array) for name, array in group.data_set().arrays.items()}

    with _worker(group, member, tmp_path) as outputs:
        before = outputs(arrays)

        # Few examples, because each trains a model; one process runs them all.
        @settings(max_examples=EXAMPLES, deadline=None)
        @given(seed=st.integers(0, 2**32 - 1))
        def holds(seed: int) -> None:
            replaced, expect = stated.change(arrays, np.random.default_rng(seed))
            after = outputs({**arrays, **replaced})
            expected = expect(before)

            assert expected
            for name, array in expected.items():
                if array.dtype.kind == "f":
                    assert stated.tolerance >= parity.close(array, after[name]), name
                else:
                    assert stated.relabelled >= parity.labels(array, after[name]), name

        holds()


@contextmanager
def _worker(group: BoundGroup, name: str, folder: Path) -> Iterator[Callable[[Arrays], Mapping[str, np.ndarray]]]:
    """Start a worker of member `name`; yield a function from arrays to its outputs."""
    try:
        client = open_client(group, name)
    except Unavailable as error:
        pytest.skip(str(error))
    numbers = count()

    def outputs(arrays: Arrays) -> Mapping[str, np.ndarray]:
        into = folder / str(next(numbers))
        into.mkdir()
        data = obtain(into / "data", "changed", lambda: arrays)
        client.prepare(make_job(group, name, data))
        reply = client.verify(into)
        return read_outputs(reply.outputs, reply.digest, into, name)

    with closing(client):
        client.hello()
        yield outputs


def test_an_invariance_that_does_not_hold_is_detected(tmp_path: Path) -> None:
    task, algorithm, member, _ = next(_stated())
    group = _plan(task, algorithm, "")
    arrays = {name: np.asarray(array) for name, array in group.data_set().arrays.items()}
    doubled = {name: 2 * array if array.dtype.kind == "f" else array for name, array in arrays.items()}

    with _worker(group, member, tmp_path) as outputs:
        before, after = outputs(arrays), outputs(doubled)

    assert any(parity.close(before[name], after[name]) > 0.1 for name in before if before[name].dtype.kind == "f")
