"""Baselines: saved ones, and the newest runs of a folder."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from pytest_duet.errors import StoreError
from pytest_duet.records import baselines, store
from pytest_duet.records.checksum import with_checksum

from .samples import MACHINE, copied, damaged, everything, run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_baseline_holds_the_summaries_of_its_runs(tmp_path: Path) -> None:
    days = [f"2026-01-0{day}" for day in (1, 2, 3)]
    paths = [store.save(msgspec.structs.replace(everything(), created=day), tmp_path) for day in days]
    kept = tmp_path / "kept" / "main.json"
    baselines.save(baselines.load(paths), kept)
    for path in paths:
        path.unlink()
    assert [each.source for each in baselines.load([kept]).runs] == [path.name for path in paths]
    assert kept.stat().st_size < 20_000


def test_a_baseline_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "main.json"
    baselines.save(baselines.load([store.save(everything(), tmp_path)]), path)
    path.write_bytes(path.read_bytes().replace(b'"log_ns":1', b'"log_ns":2', 1))
    with pytest.raises(StoreError, match="was changed after it was saved"):
        baselines.load([path])


def test_a_newer_baseline_and_a_damaged_one_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has schema 9; this version reads up to 1: update pytest-duet"):
        baselines.load([damaged(tmp_path, b'{"schema":9,"runs":[]}')])
    with pytest.raises(StoreError, match="is a damaged baseline"):
        baselines.load([damaged(tmp_path, with_checksum(b'{"schema":1,"runs":3}'))])


def test_a_results_folder_gives_the_newest_runs_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines, "NEWEST", 3)
    paths = [store.save(run(created=f"2026-01-0{day}"), tmp_path) for day in range(1, 6)]
    store.save(run(machine=msgspec.structs.replace(MACHINE, fingerprint="f" * 16)), tmp_path)
    found = baselines.load([tmp_path], MACHINE)
    assert [each.source for each in found.runs] == [path.name for path in paths[-3:]]


def test_the_newest_runs_of_a_folder_are_those_created_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "NEWEST", 2)
    for name, day in (("c", 1), ("b", 3), ("a", 2)):
        machine = {"cpu": {"brand_raw": "Example"}}
        document = {"benchmarks": [], "machine_info": machine, "datetime": f"2026-01-0{day}"}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    assert [each.source for each in baselines.load([tmp_path]).runs] == ["a.json", "b.json"]


def test_copies_of_a_run_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "NEWEST", 2)
    store.save(run(created="2026-01-01"), tmp_path)
    copies = copied(store.save(run(created="2026-01-02"), tmp_path), 3)
    assert [each.created for each in baselines.load([tmp_path], MACHINE).runs] == ["2026-01-01", "2026-01-02"]
    assert len(baselines.load(copies).runs) == 1


def test_an_unreadable_run_in_a_folder_is_not_skipped(tmp_path: Path) -> None:
    store.save(run(), tmp_path)
    store.save(run(), tmp_path).write_bytes(b"{")
    with pytest.raises(StoreError, match="is not complete JSON"):
        baselines.load([tmp_path], MACHINE)


def test_an_empty_folder_is_not_a_baseline(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no saved run to compare with"):
        baselines.load([tmp_path])
