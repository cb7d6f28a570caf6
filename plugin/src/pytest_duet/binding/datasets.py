"""Data sets as files: made once by a recipe, cached under the digest of all that went into them, checked when read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pytest_duet.digests import content_digest
from pytest_duet.errors import DataError
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from pytest_duet.values import Scalar

    Array = npt.NDArray[np.generic]
    Content = Array | dict[str, Array] | str
    Make = Callable[[], Mapping[str, Content]]

_MANIFEST = "manifest.json"


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: dict[str, str]  # name and SHA-256


class _Lazy(Mapping[str, "Content"]):
    """The contents of files, read on access."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Content:
        path = self._files[name]
        if path.suffix == ".npy":
            array: Array = np.load(path, allow_pickle=False)
            return array
        if path.suffix == ".txt":
            return path.read_bytes().decode()  # bytes, so that line ends stay as they are
        from safetensors.numpy import load_file

        return dict(load_file(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


@dataclass(frozen=True)
class DataSet:
    """A data set: `files` and `hashes` (SHA-256) by name, `arrays` read on access, `digest` of all that it was made from."""

    digest: str
    files: Mapping[str, Path]
    hashes: Mapping[str, str]
    arrays: Mapping[str, Content]

    def check(self) -> None:
        """Compare every file with its hash.

        Raises:
            DataError: one differs; the message has both digests.
        """
        for name, path in self.files.items():
            try:
                seen = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}); remove {path.parent}") from error
            if seen != self.hashes[name]:
                msg = f"{path}: has SHA-256 {seen}, its manifest says {self.hashes[name]}; the cache is broken"
                raise DataError(f"{msg}: remove {path.parent} and run again")


def recipe_digest(source: bytes, params: Mapping[str, Scalar], seed: int) -> str:
    """Return the SHA-256 that names the data a recipe makes, from its source text, parameters and seed."""
    named = [(name, to_number(value) if isinstance(value, float) else value) for name, value in sorted(params.items())]
    return content_digest(source, msgspec.json.encode([named, seed]))


def obtain(cache: Path, digest: str, make: Make) -> DataSet:
    """Return the data set called `digest` from `cache`; `make` makes it if it is not there yet.

    Raises:
        DataError: the cached files do not match their manifest, or `make` made something that cannot be written.
    """
    folder = cache / digest[:32]
    if not (folder / _MANIFEST).exists():
        _write(folder, make())
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{folder / _MANIFEST}: cannot be read ({error}); remove {folder} and run again") from error
    files = {Path(name).stem: folder / name for name in manifest.files}
    hashes = {Path(name).stem: sha256 for name, sha256 in manifest.files.items()}
    data = DataSet(digest, files, hashes, _Lazy(files))
    data.check()
    return data


def _write(folder: Path, contents: Mapping[str, Content]) -> None:
    """Write all or nothing: into a temporary folder beside `folder`, which is renamed when it is complete."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent, ignore_cleanup_errors=True) as name:
            work = Path(name)
            paths = [_write_one(work, name, content) for name, content in contents.items()]
            hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
            (work / _MANIFEST).write_bytes(msgspec.json.encode(_Manifest(hashes)))
            if not (folder / _MANIFEST).exists():
                shutil.rmtree(folder, ignore_errors=True)
            try:
                work.rename(folder)
            except OSError:
                # Another session may have put the same bytes there meanwhile; they may be in use, so they stay.
                if not (folder / _MANIFEST).exists():
                    raise
    except OSError as error:
        msg = f"{folder}: data cannot be written ({error.strerror}); free space or set duet_cache to another folder"
        raise DataError(msg) from error


def _write_one(folder: Path, name: str, content: Content) -> Path:
    if isinstance(content, dict):
        from safetensors.numpy import save_file

        path = folder / f"{name}.safetensors"
        save_file({key: np.ascontiguousarray(value) for key, value in content.items()}, path)
        return path
    if isinstance(content, str):
        path = folder / f"{name}.txt"
        path.write_bytes(content.encode())
        return path
    array = np.asarray(content)
    if array.dtype.kind not in "biuf":
        raise DataError(f"data {name!r} has dtype {array.dtype}; only numbers and booleans travel between languages")
    path = folder / f"{name}.npy"
    np.save(path, array, allow_pickle=False)
    return path
