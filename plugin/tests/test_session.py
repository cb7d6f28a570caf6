"""What a session measured is in its journal at once and in a saved run in the end; a full disk costs neither the other."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from pytest_duet.measure.mode import PAIRED
from pytest_duet.records import files, journal, store
from pytest_duet.session import Session

from .samples import MACHINE, group, reference

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(store, "machine", lambda: MACHINE)
    folder = store.check_writable(tmp_path, MACHINE)
    assert folder.is_dir()
    return Session(tmp_path, "smoke", PAIRED)


def _journals(root: Path) -> list[Path]:
    return list(root.glob("*/journal-*.jsonl"))


def test_a_group_is_in_the_journal_as_soon_as_it_is_kept_and_in_the_run_in_the_end(
    session: Session, tmp_path: Path
) -> None:
    one = group(reference())
    session.keep(one)
    (path,) = _journals(tmp_path)
    assert [one] == journal.read(path).groups

    session.complete = False
    saved = session.save(session.analysed())

    assert saved is not None
    run = store.load(saved)
    assert ([one], "smoke", "paired", False) == (run.groups, run.profile, run.mode, run.complete)
    assert ([], []) == (_journals(tmp_path), session.errors)


def test_a_run_that_cannot_be_saved_leaves_the_journal(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise files.unwritable(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    session.keep(group(reference()))
    monkeypatch.setattr(files, "write_whole", full)
    assert session.save(session.analysed()) is None
    assert 1 == len(_journals(tmp_path))
    assert "No space left on device" in session.errors[0]


def test_a_journal_that_cannot_be_written_costs_no_run(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: journal.Journal, _: object) -> None:
        raise files.unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    monkeypatch.setattr(journal.Journal, "append", full)
    session.keep(group(reference()))
    assert session.save(session.analysed()) is not None
    assert 1 == len(session.errors)
