"""Read files without trusting them, and write files so that they are complete or absent.

Every function that cannot do so raises a `StoreError`, which names the path, the reason and the remedy.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pytest_duet.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_T = TypeVar("_T")

LARGEST_FILE_BYTES: Final = 256 * 1024 * 1024
"""Far more than any saved run."""


def read_regular(path: Path, at_most: int | None = None) -> bytes:
    """Return the bytes of the regular file at `path`, or the first `at_most` of them.

    Raises:
        StoreError: it is missing, unreadable, empty, too large, not a regular file, or a link to another folder.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer forever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # After opening: a link that leads in a circle cannot be resolved.
            _check_kind(path, os.fstat(descriptor))
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(at_most or LARGEST_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: there is no such file; check the path") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); check its type and permissions") from error
    if not content:
        raise StoreError(f"{path}: is empty; name another file")
    return content


def _check_kind(path: Path, found: os.stat_result) -> None:
    if path.is_symlink() and path.resolve(strict=True).parent != path.parent.resolve():
        raise StoreError(f"{path}: is a link that leads out of its folder; name the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path}: is not a regular file; name one")
    if found.st_size > LARGEST_FILE_BYTES:
        msg = f"{path}: {found.st_size} bytes are more than the {LARGEST_FILE_BYTES} that are read; name a smaller file"
        raise StoreError(msg)


def is_folder(path: Path) -> bool:
    """Return whether `path` is a folder, False where that cannot be found out: reading it then says why."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir may raise


def parse(content: bytes) -> object:
    """Return the JSON in `content`.

    Raises:
        ValueError: it is not JSON, has a key twice, or a string that is not valid Unicode.
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
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"key {twice!r} appears twice")
    return result


def understood(read: Callable[[bytes], _T], content: bytes, otherwise: str, remedy: str) -> _T:
    """Return ``read(content)``.

    Raises:
        StoreError: it fails; the message is `otherwise`, the reason, and the `remedy`.
    """
    try:
        return read(content)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise StoreError(f"{otherwise} ({error}); {remedy}") from error


def parsed(path: Path, content: bytes) -> object:
    """Return the JSON in `content`, read from `path`."""
    return understood(parse, content, f"{path}: is not complete JSON", "it may be cut off: take another saved run")


def decoded(path: Path, decoder: msgspec.json.Decoder[_T], content: bytes, what: str) -> _T:
    """Return what `decoder` reads from `content`, a saved `what` at `path`."""
    return understood(decoder.decode, content, f"{path}: is a damaged {what}", f"take another saved {what}")


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents where they do not exist."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that a reader, and a crash, finds either the old file or the new one.

    Raises:
        StoreError: it could not be written; what was at `path` is unchanged.
    """
    if not path.name:
        raise StoreError(f"{path}: is not the name of a file; name one")
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
    """Make the names in `folder` survive a crash, where the file system supports it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems refuse it; the data itself is safe
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unlistable(folder: Path, error: OSError) -> StoreError:
    """Return the error that says `folder` cannot be listed, and what to do."""
    return StoreError(f"{folder}: cannot be listed ({error.strerror}); check its permissions")


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return the error that says `path` could not be written, and what to do."""
    return StoreError(f"{path}: cannot be written ({error.strerror or error}); free space or choose another folder")
