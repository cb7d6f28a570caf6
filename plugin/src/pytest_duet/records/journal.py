"""The append-only record of a run in progress: a crash loses at most the group being measured."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pytest_duet.errors import StoreError
from pytest_duet.records import files
from pytest_duet.records.schema import READABLE, SCHEMA, GroupRecord, JournalHeader, Machine, RunRecord

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

_T = TypeVar("_T")

_HEADER: Final = msgspec.json.Decoder(JournalHeader)
_GROUP: Final = msgspec.json.Decoder(GroupRecord)


@dataclass(frozen=True, slots=True)
class Content:
    """What a journal holds; `dropped` says what could not be read of its last line, empty where all of it could."""

    header: JournalHeader
    groups: list[GroupRecord]
    dropped: str = ""

    def run(self) -> RunRecord:
        """Return the groups as an incomplete run; of a group that was measured twice, the last measurement counts."""
        groups = {(group.id, group.threads, group.device): group for group in self.groups}
        return RunRecord(**msgspec.structs.asdict(self.header), complete=False, groups=list(groups.values()))


class Journal(AbstractContextManager["Journal"]):
    """An open journal; a group is on disk when `append` returns. Use it as a context manager, or `close` it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, *, machine: Machine, profile: str, mode: str, created: str) -> Self:
        """Create the journal at `path`; `created` is UTC in ISO 8601.

        Raises:
            StoreError: the file exists already, or cannot be written.
        """
        from pytest_duet import __version__

        files.make_folder(path.parent)
        try:
            # O_EXCL: no two sessions write one journal.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except FileExistsError as error:
            raise StoreError(f"{path}: exists already; start a new journal") from error
        except OSError as error:
            raise files.unwritable(path, error) from error
        self = cls(path, descriptor)
        header = JournalHeader(
            schema=SCHEMA, created=created, version=__version__, machine=machine, profile=profile, mode=mode
        )
        try:
            files.sync_folder(path.parent)
            self.append(header)
        except OSError as error:
            self.discard()
            raise files.unwritable(path, error) from error
        except StoreError:
            # Without its first line it is no journal, and a later group may find space for one.
            self.discard()
            raise
        return self

    def append(self, record: JournalHeader | GroupRecord) -> None:
        """Write `record` as one line and wait until it is on disk.

        Raises:
            StoreError: it could not be written; the lines before it are unchanged.
        """
        line = msgspec.json.encode(record, order="deterministic") + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise OSError(f"only {written} of {len(line)} bytes were written")  # noqa: TRY301 - undone like any other
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):  # `read` drops a partial last line in any case
                os.ftruncate(self._descriptor, before)
            raise files.unwritable(self.path, error) from error

    def discard(self) -> None:
        """Close the file and remove it: what it holds is saved elsewhere, or not worth keeping."""
        self.close()
        with suppress(OSError):  # a journal that is left behind does no harm
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __exit__(self, *_: object) -> None:
        self.close()


def read(path: Path) -> Content:
    """Return what the journal at `path` holds; a cut-off last line is dropped and reported in `Content.dropped`.

    Raises:
        StoreError: it is not a journal, is damaged before its last line, or has another schema.
    """
    lines = files.read_regular(path).split(b"\n")
    rest = lines.pop()
    dropped = f"the last line was cut off after {len(rest)} bytes; its group is lost" if rest else ""
    if not lines:
        raise StoreError(f"{path}: has no complete line; measure again")
    header = _decode(_HEADER, lines[0], path, 1)
    if header.schema not in READABLE:
        raise StoreError(f"{path}: has schema {header.schema}; this version reads up to {SCHEMA}: measure again")
    groups = [_decode(_GROUP, line, path, number) for number, line in enumerate(lines[1:], start=2)]
    return Content(header, groups, dropped)


def _decode(decoder: msgspec.json.Decoder[_T], line: bytes, path: Path, number: int) -> _T:
    otherwise, remedy = f"{path}: line {number} is not a line of a journal", "take another file or measure again"
    files.understood(files.parse, line, otherwise, remedy)
    return files.understood(decoder.decode, line, otherwise, remedy)
