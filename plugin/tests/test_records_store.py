"""Saved runs: written whole, read with suspicion."""

from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_duet.errors import StoreError
from pytest_duet.records import files, journal, store
from pytest_duet.records.checksum import with_checksum

from .samples import MACHINE, everything, group, member, reference, run

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
        monkeypatch.setattr(files.os, "fsync", full)
    else:
        monkeypatch.setattr(files.os, "open", full)
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
        (b'{"schema": 99, "groups": []}', "has schema 99; this version reads up to 4: update pytest-duet"),
        (b'{"schema": 0, "groups": []}', "has schema 0; this version reads up to 4: measure anew"),
        (b'{"schema": true, "groups": []}', "has schema True"),
        (b'{"schema": 1, "groups": []}', "is a damaged run"),
        (b"[" * 200_000, "is not whole JSON"),
        (b'{"schema": "\\ud800"}', "is not whole JSON"),
        (b'["\xed\xa0\x80"]', "is not whole JSON"),
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
def test_a_number_that_nothing_could_be_computed_from_is_refused(tmp_path: Path, change: str, by: str) -> None:
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


def test_a_journals_line_with_a_key_twice_is_refused(tmp_path: Path) -> None:
    path, lines = lines_of_a_journal(tmp_path)
    path.write_bytes(lines[0] + lines[1].replace(b'"margin":0.05', b'"margin":0.05,"margin":0.9'))
    with pytest.raises(StoreError, match=r"line 2 is no line of a journal \(key 'margin' appears twice\)"):
        store.load(path)


def test_what_a_file_holds_is_quoted_so_that_it_acts_on_no_terminal(tmp_path: Path) -> None:
    evil = rb'"\u001b]0;title\u0007":1,'
    path, lines = lines_of_a_journal(tmp_path)
    path.write_bytes(lines[0].replace(b"{", b"{" + evil, 1))
    saved = damaged(tmp_path, b"{" + evil + msgspec.json.encode(run(schema=3))[1:])
    for file in (path, saved):
        with pytest.raises(StoreError, match=r"unknown field `\?\]0;title\?`"):
            store.load(file)


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


def test_links_in_a_circle_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("b.json")
    (tmp_path / "b.json").symlink_to("a.json")
    for read in (store.load, store.load_summary, lambda path: store.load_baseline([path])):
        with pytest.raises(StoreError, match=r"a\.json: cannot be read \(Too many levels of symbolic links\)"):
            read(tmp_path / "a.json")


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LARGEST_FILE_BYTES", 10)
    with pytest.raises(StoreError, match="are more than the 10 that are read"):
        store.load(store.save(run(), tmp_path))


def test_saved_runs_are_listed_newest_first_and_nothing_else_is(tmp_path: Path) -> None:
    assert store.saved(tmp_path, MACHINE) == []
    paths = [store.save(run(), tmp_path) for _ in range(3)]
    (store.folder(tmp_path, MACHINE) / "notes.json").write_text("not a run")
    assert store.saved(tmp_path, MACHINE) == paths[::-1]


# --- seals ----------------------------------------------------------------------------------------------------------------


def resealed(tmp_path: Path, change: bytes, by: bytes) -> Path:
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
        store.load(resealed(tmp_path, change, by))


def test_a_run_without_its_seal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="was changed after it was saved"):
        store.load(damaged(tmp_path, msgspec.json.encode(run())))


def test_runs_saved_before_there_were_seals_can_still_be_read(project: Path) -> None:
    for path in (project / "results" / "cited").glob("*.json"):
        assert store.load(path).groups


# --- headers --------------------------------------------------------------------------------------------------------------


def test_the_header_says_what_the_run_says(tmp_path: Path) -> None:
    record = msgspec.structs.replace(everything(), complete=False, profile="full")
    found = store.header(store.save(record, tmp_path))
    assert (found.machine, found.profile, found.complete, found.created) == (
        MACHINE,
        "full",
        False,
        record.created,
    )


def test_a_header_costs_four_kilobytes_however_long_the_run_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_what_does_not_begin_like_a_run_has_no_header(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not begin like a saved run"):
        store.header(damaged(tmp_path, b"[]"))
    with pytest.raises(StoreError, match="is a damaged run"):
        store.header(damaged(tmp_path, b'{"schema":1,"groups":[]}'))


# --- baselines ------------------------------------------------------------------------------------------------------------


def test_a_baseline_holds_the_figures_and_digests_of_its_runs(tmp_path: Path) -> None:
    days = [f"2026-01-0{day}" for day in (1, 2, 3)]
    paths = [store.save(msgspec.structs.replace(everything(), created=day), tmp_path) for day in days]
    pinned = tmp_path / "kept" / "main.json"
    store.save_baseline(store.load_baseline(paths), pinned)
    for path in paths:
        path.unlink()
    assert [each.source for each in store.load_baseline([pinned]).runs] == [path.name for path in paths]
    assert pinned.stat().st_size < 20_000


def test_a_baseline_that_was_edited_is_refused(tmp_path: Path) -> None:
    pinned = tmp_path / "main.json"
    store.save_baseline(store.load_baseline([store.save(everything(), tmp_path)]), pinned)
    pinned.write_bytes(pinned.read_bytes().replace(b'"log_ns":1', b'"log_ns":2', 1))
    with pytest.raises(StoreError, match="was changed after it was saved"):
        store.load_baseline([pinned])


def test_a_newer_baseline_and_a_damaged_one_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has schema 9; this version reads up to 1: update pytest-duet"):
        store.load_baseline([damaged(tmp_path, b'{"schema":9,"runs":[]}')])
    with pytest.raises(StoreError, match="is a damaged baseline"):
        store.load_baseline([damaged(tmp_path, with_checksum(b'{"schema":1,"runs":3}'))])


def test_a_folder_of_results_means_this_machines_newest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "NEWEST", 3)
    paths = [store.save(run(created=f"2026-01-0{day}"), tmp_path) for day in range(1, 6)]
    store.save(run(machine=msgspec.structs.replace(MACHINE, fingerprint="f" * 16)), tmp_path)
    found = store.load_baseline([tmp_path], MACHINE)
    assert [each.source for each in found.runs] == [path.name for path in paths[-3:]]


def test_the_newest_runs_of_a_folder_are_those_created_last_whatever_they_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "NEWEST", 2)
    for name, day in (("c", 1), ("b", 3), ("a", 2)):
        machine = {"cpu": {"brand_raw": "Example"}}
        document = {"benchmarks": [], "machine_info": machine, "datetime": f"2026-01-0{day}"}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert [each.source for each in store.load_baseline([tmp_path]).runs] == ["a.json", "b.json"]


def copied(path: Path, count: int) -> list[Path]:
    """Return copies of the run at `path`, each with one more line end behind its seal."""
    copies = [path.with_name(f"copy{index}.json") for index in range(1, count + 1)]
    for index, copy in enumerate(copies, start=1):
        copy.write_bytes(path.read_bytes() + b"\n" * index)
    return copies


def test_copies_of_a_run_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "NEWEST", 2)
    store.save(run(created="2026-01-01"), tmp_path)
    copies = copied(store.save(run(created="2026-01-02"), tmp_path), 3)
    assert [each.created for each in store.load_baseline([tmp_path], MACHINE).runs] == ["2026-01-01", "2026-01-02"]
    assert len(store.load_baseline(copies).runs) == 1


@pytest.mark.parametrize("again", [lambda path: [path], lambda path: copied(path, 1)])
def test_runs_that_must_differ_are_refused_where_one_is_there_twice(
    tmp_path: Path, again: Callable[[Path], list[Path]]
) -> None:
    one, other = store.save(everything(), tmp_path), store.save(run(), tmp_path)
    assert store.load_different([one, other]) == [everything(), run()]
    with pytest.raises(StoreError, match=r"is the same run as .*; name each run once"):
        store.load_different([one, other, *again(one)])


def test_one_unreadable_run_of_a_folder_is_not_passed_over(tmp_path: Path) -> None:
    store.save(run(), tmp_path)
    store.save(run(), tmp_path).write_bytes(b"{")
    with pytest.raises(StoreError, match="is not whole JSON"):
        store.load_baseline([tmp_path], MACHINE)


def test_an_empty_folder_is_no_baseline(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no saved run to compare with"):
        store.load_baseline([tmp_path])
