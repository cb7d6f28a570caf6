"""The job reader checks types and records what was read."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import Implementation, JobReader, Outputs
from pytest_duet.values import NonFinite

from .fakes.messages import job

if TYPE_CHECKING:
    from pathlib import Path

PARAMS = {"f": 0.5, "i": 3, "b": True, "s": "lbfgs", "n": NonFinite("-inf")}


def _reader(**data: Path) -> JobReader:
    return JobReader(job(variant="gram", params=PARAMS, data={name: str(path) for name, path in data.items()}))


def test_a_new_reader_has_read_nothing() -> None:
    reader = _reader()
    assert ({}, {}, "gram") == (reader.read_params, reader.read_data, reader.variant)


def test_only_what_was_read_is_recorded_with_its_value() -> None:
    reader = _reader()
    reader.number("f")
    reader.text("s")
    reader.scalar("n")
    assert {"f": 0.5, "s": "lbfgs", "n": NonFinite("-inf")} == reader.read_params


def test_each_type_has_its_own_method() -> None:
    reader = _reader()
    assert (0.5, 3.0, 3, True, "lbfgs", -math.inf) == (
        reader.number("f"),
        reader.number("i"),
        reader.integer("i"),
        reader.flag("b"),
        reader.text("s"),
        reader.number("n"),
    )
    assert float is type(reader.number("i"))


@pytest.mark.parametrize(
    ("method", "name", "expected"),
    [
        ("number", "b", "parameter 'b' is True; it must be a number"),
        ("number", "s", "parameter 's' is 'lbfgs'; it must be a number"),
        ("integer", "f", "parameter 'f' is 0.5; it must be an integer"),
        ("integer", "b", "parameter 'b' is True; it must be an integer"),
        ("flag", "i", "parameter 'i' is 3; it must be true or false"),
        ("text", "i", "parameter 'i' is 3; it must be a string"),
        ("text", "n", "parameter 'n' is NonFinite(nonfinite='-inf'); it must be a string"),
    ],
)
def test_a_parameter_of_another_type_is_refused(method: str, name: str, expected: str) -> None:
    with pytest.raises(ImplementationError) as caught:
        getattr(_reader(), method)(name)
    assert expected == str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reads", "accepted"),
    [
        ({}, "", True),
        ({"variant": "gram"}, "variant", True),
        ({"variant": "gram"}, "", False),
        ({"variant": "gram"}, "device", False),
        ({"device": "cuda:0"}, "device", True),
        ({"device": "cuda:0"}, "", False),
    ],
)
def test_an_implementation_that_ignores_the_variant_or_device_is_refused(
    changes: dict[str, str], reads: str, *, accepted: bool
) -> None:
    reader = JobReader(job(**changes))
    if reads:
        getattr(reader, reads)
    if accepted:
        reader.check_used()
        return
    with pytest.raises(ImplementationError, match="is not known here: the implementation never read it"):
        reader.check_used()


def test_the_error_for_a_missing_parameter_lists_the_others() -> None:
    with pytest.raises(ImplementationError, match="job has no parameter 'alpha'; it has b, f, i, n, s"):
        _reader().number("alpha")
    with pytest.raises(ImplementationError, match="job has no parameter 'alpha'; it has none"):
        JobReader(job()).number("alpha")


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_has_the_requested_order(order: str, tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "x.npy", array)
    read = _reader(x=tmp_path / "x.npy").array("x", order=order)  # type: ignore[arg-type]
    assert read.flags[f"{order}_CONTIGUOUS"]
    assert array.tolist() == read.tolist()


def test_reading_a_file_records_its_digest(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(2))
    (tmp_path / "y.bin").write_bytes(b"abc")
    reader = _reader(x=tmp_path / "x.npy", y=tmp_path / "y.bin")
    assert b"abc" == reader.content("y")
    assert {"y": hashlib.sha256(b"abc").hexdigest()} == reader.read_data
    reader.array("x")
    assert {"x", "y"} == set(reader.read_data)


def test_named_tensors_are_read_from_one_file(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.ones((2, 2), dtype=np.float32)}, tmp_path / "c.safetensors")
    reader = _reader(checkpoint=tmp_path / "c.safetensors")
    assert [[1.0, 1.0], [1.0, 1.0]] == reader.tensors("checkpoint")["w"].tolist()
    assert {"checkpoint"} == set(reader.read_data)


def test_a_file_that_the_job_lacks_is_refused() -> None:
    with pytest.raises(ImplementationError, match="job has no data file 'x'; it has none"):
        _reader().array("x")


def test_a_pickled_array_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        _reader(x=tmp_path / "x.npy").array("x")


def test_an_implementation_need_not_define_input_device_or_work() -> None:
    class Least(Implementation[None, int]):
        def run(self, given: None) -> int:
            return 1

        def outputs(self, result: int) -> Outputs:
            return Outputs({"x": np.asarray(result)})

    least = Least()
    least.sync()
    assert (None, {}, None) == (least.fresh(), least.work(), least.max_iterations)
    assert ((), None, None) == (tuple(least.outputs(1).loss), least.outputs(1).iterations, least.outputs(1).converged)
