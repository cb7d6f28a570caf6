"""Data sets as bytes on disk: made once by a recipe, kept under the digest of all that went into them, checked when read.

Not for what the numbers mean: a task's ``data.py`` is the recipe.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    Content = npt.NDArray[np.generic] | dict[str, npt.NDArray[np.generic]] | str
    Make = Callable[[], Mapping[str, Content]]

_MANIFEST = "manifest.json"


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a data folder holds: file names and their SHA-256."""

    files: dict[str, str]


class _Lazy(Mapping[str, "Content"]):
    """Arrays of a data set, read when asked for."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files

    def __getitem__(self, name: str) -> Content:
        path = self._files[name]
        if path.suffix == ".npy":
            array: npt.NDArray[np.generic] = np.load(path, allow_pickle=False)
            return array
        if path.suffix == ".txt":
            return path.read_bytes().decode()  # as it is: line ends too
        from safetensors.numpy import load_file

        return dict(load_file(path))

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


class DataSet:
    """A data set on disk: `files` by name, `hashes` (SHA-256) by name, `digest` of the recipe, `arrays` read on demand."""

    def __init__(self, digest: str, folder: Path, manifest: Mapping[str, str]) -> None:
        """Take stock of `folder`, whose files and hashes `manifest` lists."""
        self.digest = digest
        self.files = {Path(file).stem: folder / file for file in manifest}
        self.hashes = {Path(file).stem: digest for file, digest in manifest.items()}
        self.arrays = _Lazy(self.files)

    def check(self) -> None:
        """Compare every file with its hash.

        Raises:
            DataError: one differs; both digests are named.

        """
        for name, path in self.files.items():
            try:
                seen = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise DataError(f"{path}: cannot be read ({error.strerror}); remove {path.parent}") from error
            if seen != self.hashes[name]:
                msg = (
                    f"{path}: has SHA-256 {seen}, its manifest says {self.hashes[name]}; the cache is broken: "
                    f"remove {path.parent} and run again"
                )
                raise DataError(msg)


def recipe_digest(source: bytes, params: Mapping[str, Scalar], seed: int) -> str:
    """Return the SHA-256 that names the data a recipe makes, from its source text, parameters and seed."""
    named = [(name, to_number(value) if isinstance(value, float) else value) for name, value in sorted(params.items())]
    return content_digest(source, msgspec.json.encode([named, seed]))


def obtain(cache: Path, digest: str, make: Make) -> DataSet:
    """Return the data set called `digest` from `cache`, made by `make` if it is not there yet.

    Raises:
        DataError: what is there does not match its manifest, or `make` made something that cannot be written.

    """
    folder = cache / digest[:32]
    if not (folder / _MANIFEST).exists():
        _write(folder, make())
    try:
        manifest = msgspec.json.decode((folder / _MANIFEST).read_bytes(), type=_Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise DataError(f"{folder / _MANIFEST}: cannot be read ({error}); remove {folder} and run again") from error
    data = DataSet(digest, folder, manifest.files)
    data.check()
    return data


def _write(folder: Path, contents: Mapping[str, Content]) -> None:
    """Write all or nothing: into a temporary sibling, which takes its name when complete."""
    try:
        with _sibling(folder) as work:
            hashes = {}
            for name, content in contents.items():
                path = _write_one(work, name, content)
                hashes[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
            (work / _MANIFEST).write_bytes(msgspec.json.encode(_Manifest(hashes)))
            _put(work, folder)
    except OSError as error:
        msg = f"{folder}: data cannot be written ({error.strerror}); free space or set duet_cache to another folder"
        raise DataError(msg) from error


def _put(work: Path, folder: Path) -> None:
    """Give `work` the name `folder`, unless another session has put the same bytes there meanwhile: they may be in use."""
    if not (folder / _MANIFEST).exists():
        shutil.rmtree(folder, ignore_errors=True)
    try:
        work.rename(folder)
    except OSError:
        if not (folder / _MANIFEST).exists():
            raise


@contextmanager
def _sibling(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


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
        msg = f"data {name!r} has dtype {array.dtype}; only numbers and truth values travel between languages"
        raise DataError(msg)
    path = folder / f"{name}.npy"
    np.save(path, array, allow_pickle=False)
    return path
