"""Python implementations are found in task folders and in files of plain functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytest_duet.errors import ImplementationError, SpecError, Unavailable
from pytest_duet.implementation import JobReader
from pytest_duet.protocol import Describe, DescribeReply, ErrorReply, Hello, HelloReply, Prepare, PrepareReply
from pytest_duet.spec.schema import Framework
from pytest_duet.values import NonFinite
from pytest_duet.workers.python import FunctionCall, framework_host, function_host, load_function, load_module

from .fakes import messages

FUNCTIONS = Path(__file__).parent / "fakes" / "functions.py"


def _task_folder(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


# --- task folders -----------------------------------------------------------------------------------------------------


def test_modules_of_a_task_import_each_other_relatively(tmp_path: Path) -> None:
    task_folder = _task_folder(tmp_path / "task_a", data="from .helper import VALUE\n", helper="VALUE = 7\n")
    assert 7 == load_module(task_folder, "data").VALUE


def test_a_module_is_loaded_once(tmp_path: Path) -> None:
    task_folder = _task_folder(tmp_path / "task_b", data="TOKEN = object()\n")
    assert load_module(task_folder, "data").TOKEN is load_module(task_folder, "data").TOKEN


def test_two_folders_of_one_task_name_are_kept_apart(tmp_path: Path) -> None:
    one = _task_folder(tmp_path / "one" / "task_c", data="from .helper import VALUE\n", helper="VALUE = 1\n")
    two = _task_folder(tmp_path / "two" / "task_c", data="from .helper import VALUE\n", helper="VALUE = 2\n")
    assert [1, 2, 1] == [load_module(task_folder, "data").VALUE for task_folder in (one, two, one)]


def test_tasks_share_modules_beside_their_folders(tmp_path: Path) -> None:
    (tmp_path / "shared.py").write_text("VALUE = 5\n")
    task_folder = _task_folder(tmp_path / "task_h", data="from ..shared import VALUE\n")
    assert 5 == load_module(task_folder, "data").VALUE


def test_each_benches_folder_has_its_own_shared_modules(tmp_path: Path) -> None:
    task_folders = []
    for benches, value in (("one", 1), ("two", 2)):
        task_folders.append(_task_folder(tmp_path / benches / "task_i", data="from ..shared import VALUE\n"))
        (tmp_path / benches / "shared.py").write_text(f"VALUE = {value}\n")
    assert [1, 2, 1] == [load_module(task_folder, "data").VALUE for task_folder in (*task_folders, task_folders[0])]


def test_a_task_does_not_shadow_modules_of_the_standard_library(tmp_path: Path) -> None:
    task_folder = _task_folder(tmp_path / "task_d", json="BROKEN = True\n", data="import json\nFOUND = json.__name__\n")
    assert "json" == load_module(task_folder, "data").FOUND
    assert str(task_folder) not in sys.path


def test_a_missing_module_of_a_task_is_a_spec_error(tmp_path: Path) -> None:
    task_folder = _task_folder(tmp_path / "task_e")
    with pytest.raises(SpecError, match=r"task_e/quality\.py does not exist; create it or drop what names it"):
        load_module(task_folder, "quality")


def test_a_task_that_needs_a_module_that_is_not_installed_is_unavailable(tmp_path: Path) -> None:
    task_folder = _task_folder(tmp_path / "task_f", data="import no_such_module_anywhere\n")
    with pytest.raises(Unavailable, match=r"task_f/data\.py needs module 'no_such_module_anywhere'"):
        load_module(task_folder, "data")


def test_a_task_module_that_fails_raises_its_own_error(tmp_path: Path) -> None:
    task_folder = _task_folder(tmp_path / "task_g", data="1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_module(task_folder, "data")


# --- frameworks -------------------------------------------------------------------------------------------------------

IMPLEMENTATION = "IMPLEMENTATIONS = {('b', 'train'): None, ('a', 'train'): None}\n"


def test_a_framework_has_the_implementations_of_its_tasks(tmp_path: Path) -> None:
    _task_folder(tmp_path / "task_i", impl_mine=IMPLEMENTATION)
    _task_folder(tmp_path / "task_h", impl_mine=IMPLEMENTATION, impl_other="1 / 0\n")
    _task_folder(tmp_path / "task_j", data="")
    framework = Framework(title="Mine", language="python", distributions=["numpy"], details={"sep": "os:sep"})
    host = framework_host(tmp_path, "mine", framework)
    described = host.handle(Describe(id=1))
    assert isinstance(described, DescribeReply)
    assert [("task_h", "a"), ("task_h", "b"), ("task_i", "a"), ("task_i", "b")] == [
        (each.task, each.algorithm) for each in described.implementations
    ]
    hello = host.handle(Hello(id=2))
    assert isinstance(hello, HelloReply)
    assert ("mine", {"numpy": np.__version__}, {"sep": "/"}, "interpreted", "") == (
        hello.framework,
        hello.versions,
        hello.details,
        hello.profile,
        hello.lock_digest,
    )
    assert f"CPython {sys.version.split()[0]}" == hello.compiler


def test_an_algorithm_that_the_framework_lacks_is_unsupported(tmp_path: Path) -> None:
    _task_folder(tmp_path / "task_k", impl_mine=IMPLEMENTATION)
    host = framework_host(tmp_path, "mine", Framework(title="Mine", language="python"))
    reply = host.handle(Prepare(id=1, job=messages.job(task="task_k", algorithm="c", phase="train")))
    assert ErrorReply(id=1, kind="unsupported", message="mine has no c train in task_k/impl_mine.py") == reply


# --- functions --------------------------------------------------------------------------------------------------------


def _call(function: Any, params: dict[str, Any] | None = None, **arrays: Path) -> FunctionCall:
    data = {name: str(path) for name, path in arrays.items()}
    return FunctionCall(function, JobReader(messages.job(params=params or {}, data=data)))


def test_a_function_is_called_with_parameters_and_arrays_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1.0, 2.0]))
    call = _call(lambda x, k: x * k, {"k": 3}, x=tmp_path / "x.npy")
    assert [3.0, 6.0] == call.run(call.fresh()).tolist()


def test_a_function_may_write_into_its_arguments(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([1.0]))
    call = _call(load_function(FUNCTIONS, "double"), x=tmp_path / "x.npy")
    assert [[2.0], [2.0]] == [call.run(call.fresh()).tolist() for _ in range(2)]


def test_a_function_gets_a_non_finite_number_as_a_float() -> None:
    call = _call(lambda bound: bound, {"bound": NonFinite("inf")})
    assert float("inf") == call.run(call.fresh())


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (3, {"result": (3, "int64")}),
        (True, {"result": (1, "int64")}),
        (0.5, {"result": (0.5, "float64")}),
        (np.float32(0.5), {"result": (0.5, "float32")}),
        (np.array([1, 2], dtype=np.uint8), {"result": ([1, 2], "int64")}),
        ({"a": 1, "b": [0.5]}, {"a": (1, "int64"), "b": ([0.5], "float64")}),
    ],
)
def test_a_result_becomes_named_arrays(result: Any, expected: dict[str, Any]) -> None:
    outputs = _call(lambda: result).outputs(result).arrays
    assert expected == {name: (array.tolist(), str(array.dtype)) for name, array in outputs.items()}


@pytest.mark.parametrize("result", [None, "text", object(), 1j, 2**70])
def test_a_result_that_is_not_a_number_is_refused(result: Any) -> None:
    with pytest.raises(ImplementationError, match=f"output 'result' is a {type(result).__name__}; return numbers"):
        _call(lambda: result).outputs(result)


def test_an_integer_too_large_for_a_worker_is_refused() -> None:
    with pytest.raises(ImplementationError):
        _call(lambda: 2**63).outputs(2**63)


def test_a_function_reads_its_whole_job(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(1))
    host = function_host(lambda x, k: x, "t")
    job = messages.job(params={"k": 1}, data={"x": str(tmp_path / "x.npy")})
    reply = host.handle(Prepare(id=1, job=job))
    host.close()
    assert isinstance(reply, PrepareReply)
    assert ({"k": 1}, ["x"]) == (reply.params, list(reply.data))


# --- by file and name -------------------------------------------------------------------------------------------------


def test_a_function_is_found_by_file_and_name() -> None:
    assert 7.0 == load_function(FUNCTIONS, "Inside.nested")(7)


@pytest.mark.parametrize("name", ["absent", "Inside.absent", "NOT_A_FUNCTION", ""])
def test_a_name_that_is_not_a_function_is_unavailable(name: str) -> None:
    with pytest.raises(Unavailable, match=f"has no function {name!r} at its top level"):
        load_function(FUNCTIONS, name)


def test_a_file_that_is_not_python_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.txt").touch()
    with pytest.raises(Unavailable, match="is not importable as a Python file"):
        load_function(tmp_path / "x.txt", "f")


def test_a_function_may_import_modules_beside_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "duet_neighbour.py").write_text("ANSWER = 42\n")
    (tmp_path / "bench_x.py").write_text("from duet_neighbour import ANSWER\n\ndef answer():\n    return ANSWER\n")
    assert 42 == load_function(tmp_path / "bench_x.py", "answer")()
