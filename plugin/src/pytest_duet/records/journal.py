"""The append-only record of a run under way: a crash loses at most the group in flight.

Not for finished runs: ``store`` saves those.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pytest_duet.errors import StoreError
from pytest_duet.records import files
from pytest_duet.records.schema import READABLE, SCHEMA, GroupRecord, Machine, Record, RunRecord

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_T = TypeVar("_T")


class Header(Record, frozen=True):
    """The first line: what the groups that follow have in common; `created` is UTC in ISO 8601."""

    schema: int
    created: str
    version: str
    machine: Machine
    profile: str
    mode: str


_HEADER: Final = msgspec.json.Decoder(Header)
_GROUP: Final = msgspec.json.Decoder(GroupRecord)


@dataclass(frozen=True, slots=True)
class Content:
    """What a journal holds; `dropped` says what could not be read of its last line, empty where all could."""

    header: Header
    groups: list[GroupRecord]
    dropped: str = ""

    def run(self) -> RunRecord:
        """Return the groups as a run that did not come to its end; a group measured again counts as last measured."""
        header = self.header
        return RunRecord(
            schema=header.schema,
            created=header.created,
            version=header.version,
            machine=header.machine,
            profile=header.profile,
            mode=header.mode,
            complete=False,
            groups=list({(group.id, group.threads, group.device): group for group in self.groups}.values()),
        )


class Journal:
    """An open journal; each `append` is on disk when it returns. Use as a context manager, or `close` it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take over `descriptor`, open for appending to `path`; callers use `open`."""
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, *, machine: Machine, profile: str, mode: str, created: str) -> Self:
        """Open the journal at `path`, new or to go on with; a cut-off last line is removed first.

        `created` is UTC in ISO 8601; a journal that is gone on with keeps its own.

        Raises:
            StoreError: it cannot be written, or was begun by another version, on another machine, in another profile or
                mode.

        """
        from pytest_duet import __version__

        header = Header(
            schema=SCHEMA, created=created, version=__version__, machine=machine, profile=profile, mode=mode
        )
        self = cls(path, _open_locked(path))
        try:
            whole = _continuable(path, header) if os.fstat(self._descriptor).st_size else 0
            os.ftruncate(self._descriptor, whole)
            files.sync_folder(path.parent)
            if not whole:
                self._append(header)
        except OSError as error:
            self.close()
            raise files.unwritable(path, error) from error
        except StoreError:
            self.close()
            raise
        return self

    def append(self, group: GroupRecord) -> None:
        """Write `group` as one line and wait until it is on disk.

        Raises:
            StoreError: it could not be written; the lines before it are as they were.

        """
        self._append(group)

    def _append(self, record: Record) -> None:
        line = _ENCODER.encode(record) + b"\n"
        before = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, line)
            if written != len(line):
                raise _short(written, len(line))
            os.fsync(self._descriptor)
        except OSError as error:
            with suppress(OSError):  # `read` drops a partial last line in any case
                os.ftruncate(self._descriptor, before)
            raise files.unwritable(self.path, error) from error

    def discard(self) -> None:
        """Close the file and remove it: what it holds is saved elsewhere, or not worth keeping."""
        self.close()
        with suppress(OSError):  # a journal left behind does no harm
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; further calls do nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _open_locked(path: Path) -> int:
    """Return a descriptor that appends to `path` and that no other session can have at the same time."""
    # O_NONBLOCK: a FIFO in its place must be an error, not a wait for a reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        raise files.unwritable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(f"{path}: another session is writing it; wait for its end or start a new journal") from error
    return descriptor


def _short(written: int, wanted: int) -> OSError:
    return OSError(f"only {written} of {wanted} bytes were taken")


def read(path: Path) -> Content:
    """Return what the journal at `path` holds; a cut-off last line is dropped and said to be.

    Raises:
        StoreError: it is no journal, is damaged before its last line, or is of another schema.

    """
    lines = files.read_regular(path).split(b"\n")
    rest = lines.pop()
    dropped = f"the last line was cut off after {len(rest)} bytes; its group is lost" if rest else ""
    if not lines:
        msg = f"{path}: holds no whole line; measure anew"
        raise StoreError(msg)
    header = _decode(_HEADER, lines[0], path, 1)
    if header.schema not in READABLE:
        msg = f"{path}: has schema {header.schema}; this version reads up to {SCHEMA}: measure anew"
        raise StoreError(msg)
    groups = [_decode(_GROUP, line, path, number) for number, line in enumerate(lines[1:], start=2)]
    return Content(header, groups, dropped)


def _decode(decoder: msgspec.json.Decoder[_T], line: bytes, path: Path, number: int) -> _T:
    otherwise, remedy = f"{path}: line {number} is no line of a journal", "take another file or measure anew"
    files.understood(files.parse, line, otherwise, remedy)
    return files.understood(decoder.decode, line, otherwise, remedy)


def _continuable(path: Path, header: Header) -> int:
    """Return how many bytes of the journal at `path` are whole lines, all fit to go on from under `header`."""
    content = files.read_regular(path)
    whole = content.rfind(b"\n") + 1
    if whole == 0:
        return 0
    found = read(path).header
    for name, ours, theirs in (
        ("machine", header.machine.fingerprint, found.machine.fingerprint),
        ("version", header.version, found.version),
        ("profile", header.profile, found.profile),
        ("mode", header.mode, found.mode),
    ):
        if ours != theirs:
            msg = f"{path}: was begun with {name} {theirs!r}, this session has {ours!r}; start a new journal"
            raise StoreError(msg)
    return whole
