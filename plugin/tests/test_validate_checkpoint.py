"""The weights that every member starts from are trained once by the reference, and cached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_duet.binding.datasets import DataSet, obtain
from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.errors import Refused
from pytest_duet.spec.group import CheckpointSpec
from pytest_duet.validate.checkpoint import load_files, obtain_files, with_checkpoint_of

from .fakes.groups import called

if TYPE_CHECKING:
    from pytest_duet.binding.bind import BoundGroup

CALLS: list[int] = []
PLAIN = DataSet("plain", {"x": Path("x.npy")}, {"x": "11"}, {})


def reference(x: np.ndarray) -> dict[str, np.ndarray]:
    CALLS.append(1)
    return {"w.first": x, "w.second": np.array([3.0]), "loss": np.array([0.5])}


@pytest.fixture
def group(tmp_path: Path) -> BoundGroup:
    """A group whose members start from what its reference trains."""
    CALLS.clear()
    plain = called(reference)
    starting = called(reference, checkpoint=CheckpointSpec("w.", plain.spec))
    return replace(
        starting, cache=tmp_path, data=lambda _: obtain(tmp_path, "ab" * 32, lambda: {"x": np.array([1.0, 2.0])})
    )


def test_a_group_without_a_checkpoint_has_only_its_data() -> None:
    assert PLAIN is obtain_files(replace(called(reference), data=lambda _: PLAIN))


def test_the_outputs_with_the_prefix_are_the_weights(group: BoundGroup) -> None:
    from safetensors.numpy import load_file

    files = obtain_files(group)
    weights = load_file(files.files["checkpoint"])
    assert {"first": [1.0, 2.0], "second": [3.0]} == {name: each.tolist() for name, each in weights.items()}
    assert {"x", "checkpoint"} == set(files.files) == set(files.hashes)
    assert group.data_set().digest != files.digest


def test_a_checkpoint_is_trained_once(group: BoundGroup) -> None:
    assert obtain_files(group).digest == obtain_files(group).digest
    assert [1] == CALLS


def test_outputs_without_the_prefix_are_refused_with_the_remedy(group: BoundGroup) -> None:
    spec = called(reference, checkpoint=CheckpointSpec("v.", called(reference).spec)).spec
    with pytest.raises(Refused, match=r"no output of t/default-call-1 starts with 'v\.'; fix \[checkpoint\] prefix in"):
        obtain_files(group.derived(spec))


def test_other_data_get_the_checkpoint_that_was_trained() -> None:
    trained = DataSet("full", {"checkpoint": Path("w.safetensors")}, {"checkpoint": "22"}, {})
    files = with_checkpoint_of(PLAIN, trained)
    assert {"x": Path("x.npy"), "checkpoint": Path("w.safetensors")} == files.files
    assert {"x": "11", "checkpoint": "22"} == files.hashes
    assert PLAIN is with_checkpoint_of(PLAIN, PLAIN)


def test_a_reference_that_cannot_train_the_checkpoint_has_failed_and_the_data_are_there(group: BoundGroup) -> None:
    spec = called(reference, checkpoint=CheckpointSpec("v.", called(reference).spec)).spec
    live = LiveGroup(group.derived(spec), [spec.reference])
    load_files(live)
    assert ("failed", True) == (live.reference.status, live.reference.reason.startswith("checkpoint: no output of"))
    assert group.data_set().digest == live.files.digest
