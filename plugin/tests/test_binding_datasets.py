"""Data sets are made once, checked whenever they are read, and never cached incomplete."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.binding.datasets import DataSet, content_digest, obtain, recipe_digest
from pytest_duet.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

X = np.arange(6.0).reshape(2, 3)


def _make() -> dict[str, np.ndarray]:
    return {"x": X, "labels": np.array([1, 2])}


def _never() -> dict[str, np.ndarray]:
    pytest.fail("made a second time")


def test_data_is_made_once_and_found_again(tmp_path: Path) -> None:
    first = obtain(tmp_path, "ab" * 32, _make)
    again = obtain(tmp_path, "ab" * 32, _never)
    assert first.hashes == again.hashes
    assert X.tolist() == again.arrays["x"].tolist()
    assert {"x", "labels"} == set(again.arrays)
    assert 2 == len(again.arrays)


def test_the_hashes_are_those_of_the_files(tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, _make)
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in data.files.items()} == data.hashes


def test_a_name_may_have_a_dot(tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, lambda: {"x.train": X, "x.test": X})
    assert {"x.train", "x.test"} == set(data.files)


def test_an_array_keeps_its_fortran_order(tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, lambda: {"x": np.asfortranarray(X)})
    array = data.arrays["x"]
    assert isinstance(array, np.ndarray)
    assert array.flags.f_contiguous
    assert X.tolist() == array.tolist()


def test_a_mapping_of_arrays_becomes_one_file(tmp_path: Path) -> None:
    weights = {"conv1": np.ones((2, 2), dtype=np.float32), "turned": np.asfortranarray(X)}
    data = obtain(tmp_path, "ab" * 32, lambda: {"weights": weights})
    assert ".safetensors" == data.files["weights"].suffix
    assert {name: each.tolist() for name, each in weights.items()} == {
        name: each.tolist() for name, each in dict(data.arrays["weights"]).items()
    }


@pytest.mark.parametrize("text", ["", '{"model": "BPE"}', "één\r\n\0"])
def test_a_string_keeps_every_byte(text: str, tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, lambda: {"words": text})
    assert (".txt", text.encode()) == (data.files["words"].suffix, data.files["words"].read_bytes())
    assert text == data.arrays["words"]


# --- a cache that cannot be trusted -----------------------------------------------------------------------------------


def test_a_changed_file_is_refused_with_both_digests(tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, _make)
    path = data.files["x"]
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    seen = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(DataError) as caught:
        obtain(tmp_path, "ab" * 32, _never)
    assert (
        f"{path}: has SHA-256 {seen}, its manifest says {data.hashes['x']}; the cache is broken: "
        f"remove {path.parent} and run again"
    ) == str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, _make)
    data.files["x"].unlink()
    with pytest.raises(DataError, match=r"x\.npy: cannot be read \(No such file or directory\); remove"):
        obtain(tmp_path, "ab" * 32, _never)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files":{},"more":1}', b"\xff"])
def test_a_broken_manifest_is_refused(content: bytes, tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, _make)
    manifest = data.files["x"].parent / "manifest.json"
    manifest.write_bytes(content)
    with pytest.raises(DataError, match=r"manifest\.json: cannot be read"):
        obtain(tmp_path, "ab" * 32, _never)


def test_a_folder_without_a_manifest_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / ("ab" * 16)
    folder.mkdir()
    (folder / "x.npy").write_bytes(b"half")
    assert X.tolist() == obtain(tmp_path, "ab" * 32, _make).arrays["x"].tolist()


def test_data_that_changes_during_a_run_is_detected(tmp_path: Path) -> None:
    data = obtain(tmp_path, "ab" * 32, _make)
    data.check()
    data.files["labels"].write_bytes(b"")
    with pytest.raises(DataError, match="its manifest says"):
        data.check()


# --- making -----------------------------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_a_data_error(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    with pytest.raises(DataError, match=r"data cannot be written .*; free space or set duet_cache to another folder"):
        obtain(place / "cache", "ab" * 32, _make)


def test_data_that_could_not_be_made_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match="No space left on device"):
        obtain(tmp_path, "ab" * 32, _make)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "array", [np.array(["a"]), np.array([1j]), np.array([None]), np.array(["2020"], dtype="M8[Y]")]
)
def test_an_array_without_numbers_is_refused(array: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape(f"data 'x' has dtype {array.dtype}; only numbers and booleans")):
        obtain(tmp_path, "ab" * 32, lambda: {"x": array})
    assert [] == list(tmp_path.iterdir())


def test_two_sessions_that_make_the_same_data_at_once_both_get_it(tmp_path: Path) -> None:
    together = threading.Barrier(2)
    got: list[DataSet] = []

    def make() -> dict[str, np.ndarray]:
        together.wait(10)
        return _make()

    threads = [threading.Thread(target=lambda: got.append(obtain(tmp_path, "ab" * 32, make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2 == len(got)
    assert got[0].hashes == got[1].hashes
    got[0].check()
    assert [tmp_path / ("ab" * 16)] == list(tmp_path.iterdir())


def test_the_second_session_does_not_remove_the_files_of_the_first(tmp_path: Path) -> None:
    descriptors = []

    def make() -> dict[str, np.ndarray]:
        # Another session finishes while this one is still making.
        first = obtain(tmp_path, "ab" * 32, _make)
        descriptors.append(os.open(first.files["x"], os.O_RDONLY))
        return _make()

    obtain(tmp_path, "ab" * 32, make)
    links = os.fstat(descriptors[0]).st_nlink
    os.close(descriptors[0])
    assert 1 == links


# --- digests ----------------------------------------------------------------------------------------------------------

_PARAMS = st.dictionaries(
    st.text(max_size=3),
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text("ab"),
    max_size=3,
)


@given(st.binary(max_size=8), _PARAMS, st.integers(0, 9))
def test_the_digest_of_a_recipe_does_not_depend_on_the_order_of_its_parameters(
    source: bytes, params: dict, seed: int
) -> None:
    turned = dict(reversed(params.items()))
    assert recipe_digest(source, params, seed) == recipe_digest(source, turned, seed)


@pytest.mark.parametrize(
    ("source", "params", "seed"),
    [
        (b"b", {"rows": 1}, 0),
        (b"a", {"rows": 2}, 0),
        (b"a", {"rows": 1.0}, 0),
        (b"a", {"rows": True}, 0),
        (b"a", {"rows": "1"}, 0),
        (b"a", {"rows": 1, "x": 1}, 0),
        (b"a", {}, 0),
        (b"a", {"rows": 1}, 1),
    ],
)
def test_any_change_of_a_recipe_changes_its_digest(source: bytes, params: dict, seed: int) -> None:
    assert recipe_digest(b"a", {"rows": 1}, 0) != recipe_digest(source, params, seed)


def test_nan_and_infinite_parameters_have_different_digests() -> None:
    values = [float("nan"), float("inf"), float("-inf")]
    assert 3 == len({recipe_digest(b"a", {"x": value}, 0) for value in values})


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_the_boundary_between_two_parts_counts(one: list[bytes], other: list[bytes]) -> None:
    assert (one == other) is (content_digest(*one) == content_digest(*other))
