"""Saved runs: written whole, read with suspicion."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_duet import disk, store
from pytest_duet.errors import StoreError

from .samples import MACHINE, everything, group, member, reference, run

if TYPE_CHECKING:
    from pathlib import Path


def saved_names(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file()]


def test_a_saved_run_comes_back_as_it_was(tmp_path: Path) -> None:
    record = everything()
    path = store.save(record, tmp_path)
    assert store.load(path) == record
    assert path.parent == tmp_path / "example-cpu-2-00ghz-01234567"


def test_two_runs_saved_at_once_are_two_files(tmp_path: Path) -> None:
    paths = {store.save(run(), tmp_path) for _ in range(3)}
    assert len(paths) == len(saved_names(tmp_path)) == 3


def test_the_machine_has_no_name_in_it() -> None:
    machine = store.machine()
    text = msgspec.json.encode(machine).decode()
    assert os.uname().nodename not in text
    assert machine == store.machine()
    assert machine.logical_cpus >= 1


@pytest.mark.parametrize("fingerprint", ["../../etc", "", "0123", "ABCDEF0123456789"])
def test_a_fingerprint_that_is_none_makes_no_path(fingerprint: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="must be 8 to 64 hexadecimal digits"):
        store.folder(tmp_path, msgspec.structs.replace(MACHINE, fingerprint=fingerprint))


def test_a_processor_with_a_hostile_name_makes_a_tame_folder(tmp_path: Path) -> None:
    machine = msgspec.structs.replace(MACHINE, cpu="../..\x1b[31m/Evil(TM) \u202e" + "x" * 300)
    assert store.folder(tmp_path, machine).parent == tmp_path
    assert store.folder(tmp_path, machine).name.startswith("31m-evil-xxx")


def test_a_writable_folder_is_made_and_left_clean(tmp_path: Path) -> None:
    assert store.check_writable(tmp_path / "new", MACHINE).is_dir()
    assert saved_names(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_named_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=r"results/example.*cannot be written .*choose another folder"):
        store.check_writable(tmp_path / "results", MACHINE)


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    kept = store.save(run(), tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(disk.os, "fsync", full)
    else:
        monkeypatch.setattr(disk.os, "open", full)
    with pytest.raises(StoreError, match=r"No space left on device.*free space"):
        store.save(run(), tmp_path)
    assert saved_names(tmp_path) == [kept.name]


def damaged(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "is not whole JSON"),
        (b"[1, 2]", "is JSON but no run of pytest-duet"),
        (b'{"benchmarks": []}', "is JSON but no run of pytest-duet"),
        (b'{"schema": 1, "schema": 1, "groups": []}', "key 'schema' appears twice"),
        (b'{"schema": 99, "groups": []}', "has schema 99; this version reads up to 3: update pytest-duet"),
        (b'{"schema": 0, "groups": []}', "has schema 0; this version reads up to 3: measure anew"),
        (b'{"schema": true, "groups": []}', "has schema True"),
        (b'{"schema": 1, "groups": []}', "is a damaged run"),
        (b"[" * 200_000, "is not whole JSON"),
    ],
)
def test_what_is_no_run_is_refused_by_name(tmp_path: Path, content: bytes, expected: str) -> None:
    path = damaged(tmp_path, content)
    with pytest.raises(StoreError) as caught:
        store.load(path)
    assert str(caught.value).startswith(f"{path}: {expected}" if "key" not in expected else f"{path}: ")
    assert expected in str(caught.value)


def test_a_run_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    whole = store.save(everything(), tmp_path).read_bytes()
    with pytest.raises(StoreError, match="it may be cut off: take another saved run"):
        store.load(damaged(tmp_path, whole[: len(whole) // 2]))


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    document = json.loads(msgspec.json.encode(run()))
    with pytest.raises(StoreError, match="unknown field `surprise`"):
        store.load(damaged(tmp_path, json.dumps({**document, "surprise": 1}).encode()))


def test_a_fifo_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(StoreError, match="is not a regular file"):
        store.load(tmp_path / "run.json")


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a regular file"):
        store.load(tmp_path)
    with pytest.raises(StoreError, match="there is no such file; check the path"):
        store.load(tmp_path / "none.json")


def test_a_link_out_of_its_folder_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    path = store.save(run(), tmp_path)
    outside, inside = tmp_path / "run.json", path.parent / "link.json"
    outside.symlink_to(path)
    inside.symlink_to(path)
    with pytest.raises(StoreError, match="is a link that leads out of its folder"):
        store.load(outside)
    assert store.load(inside) == run()


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LARGEST_FILE_BYTES", 10)
    with pytest.raises(StoreError, match="are more than the 10 a saved run may have"):
        store.load(store.save(run(), tmp_path))


def test_the_latest_run_is_the_one_saved_last(tmp_path: Path) -> None:
    assert store.latest(tmp_path, MACHINE) is None
    store.save(run(), tmp_path)
    last = run(group(reference(), member("native")))
    store.save(last, tmp_path)
    (store.folder(tmp_path, MACHINE) / "notes.json").write_text("not a run")
    assert store.latest(tmp_path, MACHINE) == last


def test_a_latest_run_that_is_damaged_is_not_passed_over_silently(tmp_path: Path) -> None:
    store.save(run(), tmp_path)
    store.save(run(), tmp_path).write_bytes(b"{")
    with pytest.raises(StoreError, match="is not whole JSON"):
        store.latest(tmp_path, MACHINE)
