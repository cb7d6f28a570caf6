"""The journal: a crash loses at most the group in flight."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_duet.errors import StoreError
from pytest_duet.records import journal, store
from pytest_duet.records.journal import Journal
from pytest_duet.records.schema import SCHEMA

from .samples import MACHINE, group, member, reference

if TYPE_CHECKING:
    from pathlib import Path

FIRST = group(reference(), member("native"))
SECOND = group(reference(), member("linfa"), id="regression::lasso-train-diabetes")


def begin(path: Path, **changes: Any) -> Journal:
    header = {"machine": MACHINE, "profile": "smoke", "mode": "direct", "created": "2026-01-02T03:04:05Z"}
    return Journal.open(path, **{**header, **changes})


def written(path: Path) -> Path:
    with begin(path) as opened:
        opened.append(FIRST)
        opened.append(SECOND)
    return path


def test_groups_are_read_back_as_they_were_appended(tmp_path: Path) -> None:
    content = journal.read(written(tmp_path / "run.jsonl"))
    assert (content.groups, content.dropped) == ([FIRST, SECOND], "")
    assert content.header.machine == MACHINE


def test_a_journal_loads_as_an_incomplete_run(tmp_path: Path) -> None:
    run = store.load(written(tmp_path / "run.jsonl"))
    assert (run.complete, run.groups, run.profile) == (False, [FIRST, SECOND], "smoke")


def test_each_group_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with begin(path) as opened:
        assert journal.read(path).groups == []
        opened.append(FIRST)
        assert journal.read(path).groups == [FIRST]


@pytest.mark.parametrize("lost", [1, 10, 500])
def test_a_cut_off_last_line_is_dropped_and_reported(tmp_path: Path, lost: int) -> None:
    path = written(tmp_path / "run.jsonl")
    path.write_bytes(path.read_bytes()[:-lost])
    content = journal.read(path)
    assert content.groups == [FIRST]
    assert content.dropped.startswith("the last line was cut off after ")


def test_the_last_measurement_of_a_group_counts(tmp_path: Path) -> None:
    path, again = tmp_path / "run.jsonl", group(reference(), member("native", 2e6))
    two_threads = msgspec.structs.replace(FIRST, threads=2)
    with begin(path) as opened:
        for each in (FIRST, SECOND, again, two_threads):
            opened.append(each)
    assert journal.read(path).run().groups == [again, SECOND, two_threads]


@pytest.mark.parametrize("failure", ["write", "short", "fsync"])
def test_a_full_disk_leaves_the_journal_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str) -> None:
    path, write = tmp_path / "run.jsonl", os.write

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def short(descriptor: int, line: bytes) -> int:
        return write(descriptor, line[:20])

    with begin(path) as opened:
        opened.append(FIRST)
        with monkeypatch.context() as patched:
            name, double = {"write": ("write", full), "short": ("write", short), "fsync": ("fsync", full)}[failure]
            patched.setattr(journal.os, name, double)
            with pytest.raises(StoreError, match=r"cannot be written .*free space or choose another folder"):
                opened.append(SECOND)
        assert journal.read(path).groups == [FIRST]
        opened.append(SECOND)
    assert journal.read(path).groups == [FIRST, SECOND]
    assert journal.read(path).dropped == ""


def test_damage_before_the_last_line_is_an_error_with_the_line_number(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"garbage\n", lines[2]]))
    with pytest.raises(StoreError, match="line 2 is not a line of a journal"):
        journal.read(path)


@pytest.mark.parametrize("content", [b'{"schema": 1}\n', b"\n", b"[]\n"])
def test_a_file_that_is_not_a_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="line 1 is not a line of a journal"):
        journal.read(path)


def test_a_journal_without_a_complete_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"schema"')
    with pytest.raises(StoreError, match="has no complete line; measure again"):
        journal.read(path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    path.write_bytes(path.read_bytes().replace(f'"schema":{SCHEMA}'.encode(), b'"schema":97'))
    with pytest.raises(StoreError, match=f"has schema 97; this version reads up to {SCHEMA}"):
        journal.read(path)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file: cannot be written"):
        begin(tmp_path / "file" / "run.jsonl")


def test_a_discarded_journal_is_removed_and_closing_twice_is_allowed(tmp_path: Path) -> None:
    opened = begin(tmp_path / "run.jsonl")
    opened.discard()
    opened.close()
    assert list(tmp_path.iterdir()) == []


def test_two_sessions_cannot_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with begin(path) as opened:
        opened.append(FIRST)
        with pytest.raises(StoreError, match="exists already; start a new journal"):
            begin(path)
    with pytest.raises(StoreError, match="exists already; start a new journal"):
        begin(path)
    assert journal.read(path).groups == [FIRST]


def test_a_fifo_in_its_place_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.jsonl")
    with pytest.raises(StoreError, match="exists already"):
        begin(tmp_path / "run.jsonl")
