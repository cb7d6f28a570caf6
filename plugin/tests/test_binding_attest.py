"""A worker ran what was asked for, or it is refused with a message that shows both."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.binding.attest import (
    attestation,
    check_busy,
    check_hello,
    check_prepared,
)
from pytest_duet.digests import file_digest, source_digest
from pytest_duet.errors import Refused, Unavailable
from pytest_duet.values import NonFinite

from .fakes.messages import hello, job, prepared

if TYPE_CHECKING:
    from pathlib import Path

# --- digests ----------------------------------------------------------------------------------------------------------


def test_the_digest_of_sources_is_the_one_the_build_script_computes(vectors: Path) -> None:
    case = json.loads((vectors / "source_digest.json").read_bytes())
    folders = [vectors / "source_tree" / name for name in case["folders"]]
    assert case["sha256"] == source_digest(folders)
    assert case["sha256"] == source_digest(reversed(folders))


def _tree(root: Path) -> Path:
    (root / "crate" / "src").mkdir(parents=True)
    (root / "crate" / "src" / "main.rs").write_bytes(b"fn main() {}")
    (root / "crate" / "Cargo.toml").write_bytes(b"")
    return root / "crate"


@pytest.mark.parametrize("name", [".hidden", "target/x", "testdata/x", "src/__pycache__/x", ".git/x"])
def test_hidden_files_and_build_outputs_do_not_count_as_sources(name: str, tmp_path: Path) -> None:
    crate = _tree(tmp_path)
    before = source_digest([crate])
    (crate / name).parent.mkdir(exist_ok=True)
    (crate / name).write_bytes(b"x")
    assert before == source_digest([crate])


def test_the_digest_of_sources_depends_on_their_content_names_and_number(tmp_path: Path) -> None:
    crate = _tree(tmp_path)
    seen = {source_digest([crate])}
    (crate / "src" / "main.rs").write_bytes(b"fn main() { }")
    seen.add(source_digest([crate]))
    (crate / "src" / "main.rs").rename(crate / "src" / "other.rs")
    seen.add(source_digest([crate]))
    (crate / "src" / "empty.rs").touch()
    seen.add(source_digest([crate]))
    assert 4 == len(seen)


def test_the_digest_of_sources_does_not_depend_on_the_folder_of_the_project(tmp_path: Path) -> None:
    assert source_digest([_tree(tmp_path / "a")]) == source_digest([_tree(tmp_path / "b")])


@pytest.mark.parametrize("changed", ["a", "b"])
def test_files_with_the_same_name_in_two_task_folders_both_count(changed: str, tmp_path: Path) -> None:
    files = [tmp_path / task_folder / "impl_x.py" for task_folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text("1")
    before = source_digest(files)
    (tmp_path / changed / "impl_x.py").write_text("2")
    assert before != source_digest(files)


def test_a_missing_lock_has_no_digest(tmp_path: Path) -> None:
    assert "" == file_digest(tmp_path / "Cargo.lock")


def test_the_digest_of_a_lock_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "Cargo.lock").write_bytes(b"abc")
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == file_digest(tmp_path / "Cargo.lock")


# --- hello ------------------------------------------------------------------------------------------------------------

SOURCES, LOCK = "ab" * 32, "cd" * 32


def _check_hello(**changes: Any) -> None:
    check_hello(hello(**changes), name="tch", sources=SOURCES, lock=LOCK, build="duet build tch")


def test_a_worker_built_from_the_current_sources_passes() -> None:
    _check_hello()


def test_without_expected_digests_the_build_is_not_checked() -> None:
    check_hello(hello(source_digest="", lock_digest="", profile="interpreted"), name="x", sources="", lock="", build="")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"profile": "debug"}, "tch is a debug build; its times mean nothing; rebuild it: duet build tch"),
        (
            {"source_digest": "ef" * 32},
            (
                "tch is stale: it was built from sources efefefefefef, the tree holds abababababab"
                "; rebuild it: duet build tch"
            ),
        ),
        (
            {"source_digest": ""},
            "tch is stale: it was built from sources unknown, the tree holds abababababab; rebuild it: duet build tch",
        ),
        (
            {"lock_digest": "ef" * 32},
            "tch is stale: it was built from lock efefefefefef, the tree holds cdcdcdcdcdcd; rebuild it: duet build tch",
        ),
    ],
)
def test_a_debug_or_stale_build_is_refused_with_the_remedy(changes: dict, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        _check_hello(**changes)
    assert expected == str(caught.value)


def test_a_worker_of_another_protocol_is_unavailable_and_the_message_has_both_versions() -> None:
    with pytest.raises(
        Unavailable, match="tch speaks protocol 2, this pytest-duet speaks 1; rebuild it: duet build tch"
    ):
        _check_hello(protocol=2)


# --- prepare ----------------------------------------------------------------------------------------------------------

JOB = job(params={"alpha": 0.1, "steps": 3}, data={"x": "/x.npy", "y": "/y.npy"})
HASHES = {"x": "11" * 32, "y": "22" * 32}


def _check(**changes: Any) -> None:
    whole = {"params": dict(JOB.params), "data": dict(HASHES)}
    check_prepared(prepared(**{**whole, **changes}), JOB, name="tch", hashes=HASHES)


def test_a_member_that_prepared_its_job_passes() -> None:
    _check()


def test_a_member_need_not_read_every_file() -> None:
    _check(data={"x": HASHES["x"]})


def test_a_member_may_use_fewer_threads_than_asked() -> None:
    _check(threads=0)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"params": {"alpha": 0.1}}, "tch ignores parameter 'steps' (asked 3); it must read it to be compared"),
        ({"params": {"alpha": 0.2, "steps": 3}}, "tch has alpha = 0.2, the job says 0.1"),
        ({"params": {"alpha": 0.1, "steps": 3, "tol": 1}}, "tch has tol = 1, the job says None"),
        ({"threads": 2}, "tch runs 2 threads, 1 asked"),
        ({"device": "cuda:0"}, "tch runs on cuda:0, the job says cpu"),
        ({"dtype": "f32"}, "tch computes in f32, the job says f64"),
        ({"data": {}}, "tch read none of the data files; it must read them to be compared"),
        ({"data": {"x": "22" * 32}}, f"tch saw other data: x has SHA-256 {'22' * 32}, the data set's is {'11' * 32}"),
        ({"data": {"z": "22" * 32}}, f"tch saw other data: z has SHA-256 {'22' * 32}, the data set's is unknown"),
    ],
)
def test_any_difference_from_the_job_is_refused(changes: dict, expected: str) -> None:
    with pytest.raises(Refused) as caught:
        _check(**changes)
    assert expected == str(caught.value)


def test_a_member_need_not_read_data_if_the_job_has_none() -> None:
    check_prepared(prepared(), job(), name="tch", hashes={})


def test_an_infinite_parameter_is_compared_like_any_other() -> None:
    asked = job(params={"bound": NonFinite("inf")})
    check_prepared(prepared(params={"bound": NonFinite("inf")}), asked, name="tch", hashes={})
    with pytest.raises(Refused, match="bound"):
        check_prepared(prepared(params={"bound": NonFinite("-inf")}), asked, name="tch", hashes={})


# --- work -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("busy", "wall", "threads"), [(120, 100, 1), (0, 100, 1), (400, 100, 4), (5, 0, 1)])
def test_work_that_one_cpu_can_do_passes(busy: int, wall: int, threads: int) -> None:
    check_busy(busy, wall, name="tch", threads=threads)


def test_work_that_took_more_than_one_cpu_is_refused() -> None:
    with pytest.raises(Refused, match=r"tch kept 1\.23 CPUs busy, but one thread was asked for, whatever it attests"):
        check_busy(1_230_000_000, 1_000_000_000, name="tch", threads=1)


def test_cpu_time_may_be_off_by_the_resolution_of_the_kernels_clock() -> None:
    check_busy(1_220_000_000, 1_000_000_000, name="tch", threads=1)
    check_busy(20_000_000, 1_000, name="tch", threads=1)


def test_an_attestation_holds_both_replies() -> None:
    made = attestation(hello(blas=["mkl"]), prepared(params={"alpha": 1}, threads=3, data={"x": "11"}))
    assert ("fake", ["mkl"], {"alpha": 1}, 3, {"x": "11"}) == (
        made.framework,
        made.blas,
        made.params,
        made.threads,
        made.data,
    )
