"""The session engine: finished groups survive interrupts and full disks, and records hold no private paths."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet import session as engine
from pytest_duet.errors import DataError, StoreError
from pytest_duet.exit_status import Exit
from pytest_duet.measure.mode import PAIRED
from pytest_duet.records import files, journal, machine, store
from pytest_duet.session import Session

from .samples import MACHINE, group, member, reference, without_numbers

if TYPE_CHECKING:
    from pytest_duet.records.schema import GroupRecord


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(machine, "this_machine", lambda: MACHINE)
    folder = store.check_writable(tmp_path, MACHINE)
    assert folder.is_dir()
    return Session(tmp_path, "smoke", PAIRED)


def _journals(root: Path) -> list[Path]:
    return list(root.glob("*/journal-*.jsonl"))


def test_a_kept_group_is_journalled_at_once_and_saved_at_the_end(session: Session, tmp_path: Path) -> None:
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


def test_the_journal_stays_when_the_run_cannot_be_saved(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _: bytes) -> None:
        raise files.unwritable(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    session.keep(group(reference()))
    monkeypatch.setattr(files, "write_whole", full)
    assert session.save(session.analysed()) is None
    assert 1 == len(_journals(tmp_path))
    assert "No space left on device" in session.errors[0]


def test_the_run_is_saved_when_the_journal_cannot_be_written(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: journal.Journal, _: object) -> None:
        raise files.unwritable(self.path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    monkeypatch.setattr(journal.Journal, "append", full)
    session.keep(group(reference()))
    assert session.save(session.analysed()) is not None
    assert 1 == len(session.errors)


# --- running ----------------------------------------------------------------------------------------------------------


def _runs(monkeypatch: pytest.MonkeyPatch, *results: GroupRecord | BaseException) -> list[dict[str, object]]:
    """Let each run of a group give the next of `results`, and return the list of what the runs are asked for."""
    calls: list[dict[str, object]] = []
    upcoming = iter(results)

    def run_group(_: object, **options: object) -> GroupRecord:
        calls.append(options)
        result = next(upcoming)
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(engine, "run_group", run_group)
    return calls


GROUP: Any = None
"""The bound group is passed on as it is."""


def test_an_interrupt_keeps_the_finished_groups(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    first = group(reference())
    calls = _runs(monkeypatch, first, KeyboardInterrupt(), group(reference(), id="third"))

    with session, session.interruptible():
        for _ in range(3):
            session.run(GROUP, ["sklearn"])

    assert ([first], False, 2) == (session.groups, session.complete, len(calls))
    saved = session.save(session.analysed())
    assert saved is not None
    assert not store.load(saved).complete


def test_an_error_of_one_group_reaches_the_caller_and_clears_the_progress_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    _runs(monkeypatch, DataError("no data; install it"))
    session = Session(tmp_path, "smoke", progress=shown.append)

    with pytest.raises(DataError), session:
        session.run(GROUP, ["sklearn"])

    assert ([], [""], True) == (session.groups, shown, session.complete)


def test_a_second_record_of_a_group_takes_the_place_of_the_first(session: Session) -> None:
    other, before, after = group(reference(), id="other"), group(reference()), group(reference(), member("native"))
    for record in (before, other, after):
        session.keep(record)
    assert [after, other] == session.groups


def test_the_same_group_on_more_threads_is_another_group(session: Session) -> None:
    for threads in (1, 2):
        session.keep(group(reference(), threads=threads))
    assert [1, 2] == [each.threads for each in session.groups]


def test_a_run_that_is_not_kept_leaves_no_trace(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = group(reference())
    _runs(monkeypatch, record)
    assert record == session.run(GROUP, ["sklearn"], keep=False)
    assert ([], []) == (session.groups, _journals(tmp_path))


def test_without_timing_nothing_is_journalled(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = _runs(monkeypatch, group(reference()))
    session.run(GROUP, ["sklearn"], timed=False)
    assert (1, [], False) == (len(session.groups), _journals(tmp_path), calls[0]["timed"])


# --- paths ------------------------------------------------------------------------------------------------------------


def test_paths_of_this_machine_are_not_in_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/somebody"))
    reason = "/models/lenet: lacks a file; see /projects/x/benches/cnn and /home/somebody/.cache/y"
    failed = member("tch", status="failed", reason=reason, log="at /projects/x/benches/cnn/impl.py")
    private = {"/models/lenet": "lenet", "/projects/x/": ""}
    _runs(monkeypatch, group(reference(), failed))

    session = Session(tmp_path, "smoke", private=private)
    kept = session.run(GROUP, ["tch"]).members[1]

    assert "lenet: lacks a file; see benches/cnn and ~/.cache/y" == kept.reason
    assert "at benches/cnn/impl.py" == kept.log
    assert kept == session.groups[0].members[1]


# --- status -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strict", "errors", "expected"),
    [
        (False, [], Exit.PASSED),
        (True, [], Exit.UNAVAILABLE),
        (True, ["results: No space left on device"], Exit.STORAGE_FAILED),
    ],
)
def test_the_status_counts_unavailable_members_only_if_strict_and_storage_first(
    session: Session, *, strict: bool, errors: list[str], expected: Exit
) -> None:
    session.keep(group(reference(), without_numbers("tch", "unavailable", "not built")))
    session.errors += errors
    assert expected == session.status(strict=strict)


def test_results_that_cannot_be_saved_are_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        Session(tmp_path / "results", "smoke").check_writable()
