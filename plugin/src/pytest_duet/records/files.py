"""Reading files that may be anything, and writing files that are there whole or not at all.

Not for what their JSON means: ``store`` and ``journal`` know that.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pytest_duet.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

LARGEST_FILE_BYTES: Final = 256 * 1024 * 1024
"""No saved run comes near this."""


def read_regular(path: Path, at_most: int | None = None) -> bytes:
    """Return the bytes of the regular file at `path`, or the first `at_most` of them.

    Raises:
        StoreError: it is missing, unreadable, too large, not a regular file, or a link that leads out of its folder.

    """
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # Only what could be opened leads somewhere: a link may also lead round in a circle.
            _check_link(path)
            _check_kind(path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(at_most or LARGEST_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        msg = f"{path}: there is no such file; check the path"
        raise StoreError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); check its type and permissions"
        raise StoreError(msg) from error
    if not content:
        msg = f"{path}: is empty; name another file"
        raise StoreError(msg)
    return content


def _check_link(path: Path) -> None:
    if path.is_symlink() and path.resolve(strict=True).parent != path.parent.resolve():
        msg = f"{path}: is a link that leads out of its folder; name the file itself"
        raise StoreError(msg)


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        msg = f"{path}: is not a regular file; name one"
        raise StoreError(msg)
    if found.st_size > LARGEST_FILE_BYTES:
        msg = f"{path}: {found.st_size} bytes are more than the {LARGEST_FILE_BYTES} that are read; name a smaller file"
        raise StoreError(msg)


def is_folder(path: Path) -> bool:
    """Say whether `path` is a folder; of what cannot be looked at, reading it says why."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where this says no


def parse(content: bytes) -> object:
    """Return the JSON in `content`.

    Raises:
        ValueError: it is none, has a key twice, or a text that nothing could show or write.
        RecursionError: it is nested too deeply.

    """
    document: object = json.loads(content.decode(), object_pairs_hook=_without_duplicates)
    if b"\\u" in content:
        # An escape can spell half a surrogate pair, which UTF-8 cannot.
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        msg = f"key {twice!r} appears twice"
        raise ValueError(msg)
    return result


def understood(read: Callable[[bytes], _T], content: bytes, otherwise: str, remedy: str) -> _T:
    """Return what `read` makes of `content`.

    Raises:
        StoreError: it makes nothing of it; the message is `otherwise`, why, and the `remedy`.

    """
    try:
        return read(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        msg = f"{otherwise} ({error}); {remedy}"
        raise StoreError(msg) from error


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` so that a reader finds the old file or the new one, and a crash leaves one of them.

    Raises:
        StoreError: it could not be written; what was at `path` is as it was.

    """
    if not path.name:
        msg = f"{path}: is not the name of a file; name one to write"
        raise StoreError(msg)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a crash, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems refuse it, after the data itself is safe
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return the error that says `path` could not be written, and what to do."""
    return StoreError(f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder")
