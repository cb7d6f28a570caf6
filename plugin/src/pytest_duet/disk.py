"""Reading files that may be anything, and writing files that are there whole or not at all.

Not for what the bytes mean: ``store`` and ``journal`` know that.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

LARGEST_FILE_BYTES: Final = 256 * 1024 * 1024
"""No saved run comes near this; what is larger is not one."""


def read_regular(path: Path, at_most: int | None = None) -> bytes:
    """Return the bytes of the regular file at `path`, or the first `at_most` of them.

    Raises:
        StoreError: it is missing, unreadable, too large, not a regular file, or a link that leads out of its folder.

    """
    try:
        _check_link(path)
        # Without O_NONBLOCK, opening a FIFO would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
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
        msg = f"{path}: is empty; take another saved run"
        raise StoreError(msg)
    return content


def _check_link(path: Path) -> None:
    if path.is_symlink() and path.resolve(strict=True).parent != path.parent.resolve():
        msg = f"{path}: is a link that leads out of its folder; name the file itself"
        raise StoreError(msg)


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        msg = f"{path}: is not a regular file; name a saved run (.json) or a journal (.jsonl)"
        raise StoreError(msg)
    if found.st_size > LARGEST_FILE_BYTES:
        limit = f"the {LARGEST_FILE_BYTES} a saved run may have"
        msg = f"{path}: {found.st_size} bytes are more than {limit}; name a saved run"
        raise StoreError(msg)


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` at `path` so that a reader finds the old file or the new one, and a crash leaves one of them.

    Raises:
        StoreError: it could not be written; what was at `path` is as it was.

    """
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
