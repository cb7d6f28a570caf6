"""Saved runs: written completely, and checked when read."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_duet.errors import StoreError
from pytest_duet.records import baselines, files, journal, store
from pytest_duet.records.machine import folder

from .samples import MACHINE, copied, damaged, everything, group, member, reference, run

if TYPE_CHECKING:
    from collections.abc import Callable
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


def test_a_writable_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    assert store.check_writable(tmp_path / "new", MACHINE).is_dir()
    assert saved_names(tmp_path) == []


def test_a_folder_that_cannot_be_created_is_an_error_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match=r"results/example.*cannot be written .*choose another folder"):
        store.check_writable(tmp_path / "results", MACHINE)


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_leaves_no_partial_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    kept = store.save(run(), tmp_path)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "fsync":
        monkeypatch.setattr(files.os, "fsync", full)
    else:
        monkeypatch.setattr(files.os, "open", full)
    with pytest.raises(StoreError, match=r"No space left on device.*free space"):
        store.save(run(), tmp_path)
    assert saved_names(tmp_path) == [kept.name]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "is not complete JSON"),
        (b"[1, 2]", "is JSON, but not a run of pytest-duet"),
        (b'{"benchmarks": []}', "is JSON, but not a run of pytest-duet"),
        (b'{"schema": 1, "schema": 1, "groups": []}', "key 'schema' appears twice"),
        (b'{"schema": 99, "groups": []}', "has schema 99; this version reads up to 4: update pytest-duet"),
        (b'{"schema": 0, "groups": []}', "has schema 0; this version reads up to 4: measure again"),
        (b'{"schema": true, "groups": []}', "has schema True"),
        (b'{"schema": 1, "groups": []}', "is a damaged run"),
        (b"[" * 200_000, "is not complete JSON"),
        (b'{"schema": "\\ud800"}', "is not complete JSON"),
        (b'["\xed\xa0\x80"]', "is not complete JSON"),
    ],
)
def test_a_file_that_is_not_a_run_is_refused_by_name(tmp_path: Path, content: bytes, expected: str) -> None:
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
    document = json.loads(msgspec.json.encode(msgspec.structs.replace(run(), schema=3)))
    with pytest.raises(StoreError, match="unknown field `surprise`"):
        store.load(damaged(tmp_path, json.dumps({**document, "surprise": 1}).encode()))


@pytest.mark.parametrize(
    ("change", "by"),
    [
        ('"margin":0.05', '"margin":-2.0'),
        ('"margin":0.05', '"margin":0'),
        ('"margins":{}', '"margins":{"native":-1.0}'),
        ('"calls_per_round":1', '"calls_per_round":0'),
        ('"calls_per_round":1', '"calls_per_round":9223372036854775808'),
        ('"cells":[[[', f'"cells":[[[{"9" * 400}'),
        ('"unit":"bytes","value":', f'"unit":"bytes","value":{"9" * 400}'),
    ],
)
def test_a_number_out_of_range_is_refused(tmp_path: Path, change: str, by: str) -> None:
    text = msgspec.json.encode(run(group(reference(), member("native")), schema=3)).decode()
    assert change in text
    assert store.load(damaged(tmp_path, text.encode())).groups
    with pytest.raises(StoreError, match="is a damaged run"):
        store.load(damaged(tmp_path, text.replace(change, by, 1).encode()))


def lines_of_a_journal(tmp_path: Path) -> tuple[Path, list[bytes]]:
    path = tmp_path / "run.jsonl"
    with journal.Journal.open(path, machine=MACHINE, profile="smoke", mode="direct", created="2026-01-02") as opened:
        opened.append(group(reference()))
    return path, path.read_bytes().splitlines(keepends=True)


def test_a_journal_line_with_a_duplicate_key_is_refused(tmp_path: Path) -> None:
    path, lines = lines_of_a_journal(tmp_path)
    path.write_bytes(lines[0] + lines[1].replace(b'"margin":0.05', b'"margin":0.05,"margin":0.9'))
    with pytest.raises(StoreError, match=r"line 2 is not a line of a journal \(key 'margin' appears twice\)"):
        store.load(path)


def test_control_characters_in_a_file_are_not_printed(tmp_path: Path) -> None:
    evil = rb'"\u001b]0;title\u0007":1,'
    path, lines = lines_of_a_journal(tmp_path)
    path.write_bytes(lines[0].replace(b"{", b"{" + evil, 1))
    saved = damaged(tmp_path, b"{" + evil + msgspec.json.encode(run(schema=3))[1:])
    for file in (path, saved):
        with pytest.raises(StoreError, match=r"unknown field `\?\]0;title\?`"):
            store.load(file)


def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
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


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("b.json")
    (tmp_path / "b.json").symlink_to("a.json")
    for read in (store.load, baselines.load_summary, lambda path: baselines.load([path])):
        with pytest.raises(StoreError, match=r"a\.json: cannot be read \(Too many levels of symbolic links\)"):
            read(tmp_path / "a.json")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE_BYTES", 10)
    with pytest.raises(StoreError, match="are more than the 10 that are read"):
        store.load(store.save(run(), tmp_path))


def test_only_saved_runs_are_listed_newest_first(tmp_path: Path) -> None:
    assert store.saved(tmp_path, MACHINE) == []
    paths = [store.save(run(), tmp_path) for _ in range(3)]
    (folder(tmp_path, MACHINE) / "notes.json").write_text("not a run")
    assert store.saved(tmp_path, MACHINE) == paths[::-1]


def edited(tmp_path: Path, change: bytes, by: bytes) -> Path:
    content = store.save(everything(), tmp_path).read_bytes()
    assert content.count(change)
    return damaged(tmp_path, content.replace(change, by, 1))


@pytest.mark.parametrize(
    ("change", "by"),
    [
        (b'"margin":0.05', b'"margin":0.95'),
        (b'"digest":"', b'"digest":"0'),
        (b',"digest"', b', "digest"'),
        (b"}", b"} "),
    ],
)
def test_a_run_that_was_edited_is_refused(tmp_path: Path, change: bytes, by: bytes) -> None:
    with pytest.raises(StoreError, match=r"was changed after it was saved.*take the file as it was saved"):
        store.load(edited(tmp_path, change, by))


def test_a_run_without_its_checksum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="was changed after it was saved"):
        store.load(damaged(tmp_path, msgspec.json.encode(run())))


def test_runs_saved_before_there_were_checksums_can_still_be_read(project: Path) -> None:
    for path in (project / "results" / "cited").glob("*.json"):
        assert store.load(path).groups


def test_the_header_matches_the_run(tmp_path: Path) -> None:
    record = msgspec.structs.replace(everything(), complete=False, profile="full")
    found = store.header(store.save(record, tmp_path))
    assert (found.machine, found.profile, found.complete, found.created) == (
        MACHINE,
        "full",
        False,
        record.created,
    )


def test_reading_a_header_takes_four_kilobytes_however_long_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = everything()
    paths = [store.save(saved, tmp_path) for _ in range(20)]
    read: list[int] = []
    real = files.read_regular

    def counting(path: Path, at_most: int | None = None) -> bytes:
        content = real(path, at_most)
        read.append(len(content))
        return content

    monkeypatch.setattr(files, "read_regular", counting)
    assert [store.header(path).profile for path in paths] == ["smoke"] * 20
    assert sum(read) <= 20 * 4096 < sum(path.stat().st_size for path in paths) / 5


def test_a_file_that_does_not_begin_like_a_run_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not begin like a saved run"):
        store.header(damaged(tmp_path, b"[]"))
    with pytest.raises(StoreError, match="is a damaged run"):
        store.header(damaged(tmp_path, b'{"schema":1,"groups":[]}'))


@pytest.mark.parametrize("again", [lambda path: [path], lambda path: copied(path, 1)])
def test_the_same_run_twice_is_refused(tmp_path: Path, again: Callable[[Path], list[Path]]) -> None:
    one, other = store.save(everything(), tmp_path), store.save(run(), tmp_path)
    assert store.load_different([one, other]) == [everything(), run()]
    with pytest.raises(StoreError, match=r"is the same run as .*; name each run once"):
        store.load_different([one, other, *again(one)])
