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


def test_what_was_appended_comes_back(tmp_path: Path) -> None:
    content = journal.read(written(tmp_path / "run.jsonl"))
    assert (content.groups, content.dropped) == ([FIRST, SECOND], "")
    assert content.header.machine == MACHINE


def test_a_journal_loads_as_a_run_that_did_not_come_to_its_end(tmp_path: Path) -> None:
    run = store.load(written(tmp_path / "run.jsonl"))
    assert (run.complete, run.groups, run.profile) == (False, [FIRST, SECOND], "smoke")


def test_each_group_is_on_disk_when_append_returns(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with begin(path) as opened:
        assert journal.read(path).groups == []
        opened.append(FIRST)
        assert journal.read(path).groups == [FIRST]


@pytest.mark.parametrize("lost", [1, 10, 500])
def test_a_cut_off_last_line_is_dropped_and_said_to_be(tmp_path: Path, lost: int) -> None:
    path = written(tmp_path / "run.jsonl")
    path.write_bytes(path.read_bytes()[:-lost])
    content = journal.read(path)
    assert content.groups == [FIRST]
    assert content.dropped.startswith("the last line was cut off after ")


def test_going_on_removes_the_cut_off_line_and_keeps_the_header(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    path.write_bytes(path.read_bytes()[:-100])
    with begin(path, created="2027-01-01T00:00:00Z") as opened:
        opened.append(SECOND)
    content = journal.read(path)
    assert (content.groups, content.dropped) == ([FIRST, SECOND], "")
    assert content.header.created == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"profile": "full"}, "profile"),
        ({"mode": "paired"}, "mode"),
        ({"machine": msgspec.structs.replace(MACHINE, fingerprint="f" * 16)}, "machine"),
    ],
)
def test_going_on_under_other_conditions_is_refused(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    path = written(tmp_path / "run.jsonl")
    with pytest.raises(StoreError, match=f"was begun with {name} .*start a new journal"):
        begin(path, **changes)


def test_a_group_measured_again_counts_as_last_measured(tmp_path: Path) -> None:
    path, again = written(tmp_path / "run.jsonl"), group(reference(), member("native", 2e6))
    two_threads = msgspec.structs.replace(FIRST, threads=2)
    with begin(path) as opened:
        opened.append(again)
        opened.append(two_threads)
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


def test_damage_before_the_last_line_names_the_line(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"garbage\n", lines[2]]))
    with pytest.raises(StoreError, match="line 2 is no line of a journal"):
        journal.read(path)


@pytest.mark.parametrize("content", [b'{"schema": 1}\n', b"\n", b"[]\n"])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="line 1 is no line of a journal"):
        journal.read(path)


def test_a_journal_without_a_whole_line_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b'{"schema"')
    with pytest.raises(StoreError, match="holds no whole line; measure anew"):
        journal.read(path)


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "run.jsonl")
    path.write_bytes(path.read_bytes().replace(f'"schema":{SCHEMA}'.encode(), b'"schema":97'))
    with pytest.raises(StoreError, match=f"has schema 97; this version reads up to {SCHEMA}"):
        journal.read(path)


def test_a_folder_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"run\.jsonl: cannot be written"):
        begin(tmp_path / "file" / "run.jsonl")


def test_a_discarded_journal_is_gone_and_closing_twice_is_fine(tmp_path: Path) -> None:
    opened = begin(tmp_path / "run.jsonl")
    opened.discard()
    opened.close()
    assert list(tmp_path.iterdir()) == []


def test_two_sessions_cannot_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with begin(path), pytest.raises(StoreError, match="another session is writing it"):
        begin(path)
    with begin(path) as opened:
        opened.append(FIRST)
    assert journal.read(path).groups == [FIRST]


def test_a_fifo_in_its_place_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.jsonl")
    with pytest.raises(StoreError, match="cannot be written"):
        begin(tmp_path / "run.jsonl")
