"""SHA-256 digests of data sets, sources, lock files, models and outputs.

The Rust twins are in ``rust_crates/duet-worker``; the vectors in its ``testdata`` test both languages.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

_LAYOUT: Final = 1
"""Part of every content digest; incremented when the layout of its bytes changes."""

UNHASHED: Final = frozenset({"tests", "testdata", "target", "__pycache__"})
"""Folders that source digests leave out: nothing in them becomes part of a worker."""


def content_digest(*parts: bytes) -> str:
    """Return the SHA-256 of `parts`, each preceded by its length."""
    digest = hashlib.sha256(f"layout {_LAYOUT}\0".encode())
    for part in parts:
        digest.update(f"{len(part)}\0".encode())
        digest.update(part)
    return digest.hexdigest()


def arrays_digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays: of their names, types, shapes and bytes."""
    parts = [
        part
        for name, array in sorted(arrays.items())
        for part in (f"{name} {array.dtype.str} {array.shape}".encode(), array.tobytes())
    ]
    return content_digest(*parts)


def folder_digest(folder: Path, names: Sequence[str]) -> str:
    """Return the SHA-256 of the files `names` in `folder`, whatever its path.

    Raises:
        DataError: it is not a folder, or a file is missing.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: is not a folder; name one that holds {', '.join(names)}")
    parts = []
    for name in names:
        try:
            with (folder / name).open("rb") as file:
                parts += [name.encode(), hashlib.file_digest(file, "sha256").digest()]
        except OSError as error:
            msg = f"{folder / name}: cannot be read ({error.strerror}); the folder must hold {', '.join(names)}"
            raise DataError(msg) from error
    return content_digest(*parts)


def source_digest(folders: Iterable[Path]) -> str:
    """Return the SHA-256 of the files in `folders`, in hex; the build script of a Rust worker computes the same.

    Files are hashed in byte order of their label ``<folder name>/<path inside>``. Each contributes its label in UTF-8, NUL,
    its length in decimals, NUL, and its bytes. Hidden files and the folders in `UNHASHED` are left out. The label of a file
    passed instead of a folder is ``<name of its folder>/<its name>``.
    """
    files: dict[bytes, Path] = {}
    for folder in folders:
        # The label of a file needs the name of its task: several tasks have a file of that name.
        base = folder.parent.parent if folder.is_file() else folder.parent
        for path in [folder] if folder.is_file() else folder.rglob("*"):
            inside = path.relative_to(base)
            hidden = any(part.startswith(".") or part in UNHASHED for part in inside.parts)
            if path.is_file() and not hidden:
                files[inside.as_posix().encode()] = path
    digest = hashlib.sha256()
    for label, path in sorted(files.items()):
        content = path.read_bytes()
        digest.update(label + b"\0" + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of one file's bytes in hex, empty if there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def digest_outputs(outputs: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays in hex.

    The arrays are hashed in order of their names. Each contributes its name, NUL, numpy's type string (``<f8``), NUL, its
    shape as decimals joined by commas, NUL, and its elements as little-endian bytes in C order.
    """
    digest = hashlib.sha256()
    for name, array in sorted(outputs.items()):
        shape = ",".join(str(length) for length in array.shape)
        digest.update(f"{name}\0{array.dtype.str}\0{shape}\0".encode())
        digest.update(array.tobytes(order="C"))
    return digest.hexdigest()
