"""The files that phases hand to each other: specs, validations, and the runs of single groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.errors import StoreError
from pytest_duet.records import files, store
from pytest_duet.spec.derived import PlannedSpec
from pytest_duet.spec.group import GroupSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_duet.records.schema import RunRecord

SPEC_SUFFIX: Final = ".spec.json"
RUN_SUFFIX: Final = ".run.json"

_SPEC: Final = msgspec.json.Decoder(GroupSpec)
_PLAN: Final = msgspec.json.Decoder(list[PlannedSpec])


def slug(spec: GroupSpec) -> str:
    """Return what the files of a group are called: its id, safe in a path, with profile, threads and device behind it."""
    name = f"{spec.id}@{spec.profile}@threads={spec.threads}@{spec.device}"
    return "".join(letter if letter.isalnum() or letter in "-_.=@" else "-" for letter in name)


def read_specs(paths: Iterable[Path]) -> list[GroupSpec]:
    """Return the specs in `paths`: files of one spec each, or what ``duet plan --json`` printed.

    Raises:
        StoreError: a file holds neither.

    """
    specs: list[GroupSpec] = []
    for path in paths:
        content = files.read_regular(path)
        remedy = "write it with duet plan --into DIR, or duet plan --json"
        if content.lstrip()[:1] == b"[":
            plan = files.understood(_PLAN.decode, content, f"{path}: is no plan of this version", remedy)
            specs += [each.spec for each in plan]
        else:
            specs.append(files.understood(_SPEC.decode, content, f"{path}: is no group spec of this version", remedy))
    return specs


def write_specs(specs: Iterable[GroupSpec], into: Path) -> list[Path]:
    """Write each of `specs` into a file of its own in the folder `into`; return the paths.

    Raises:
        StoreError: one cannot be written.

    """
    made = make_folder(into)
    paths = []
    for spec in specs:
        paths.append(made / f"{slug(spec)}{SPEC_SUFFIX}")
        files.write_whole(paths[-1], spec.to_json() + b"\n")
    return paths


def make_folder(path: Path) -> Path:
    """Return the folder at `path`, made if it is not there.

    Raises:
        StoreError: it cannot be made.

    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.unwritable(path, error) from error
    return path


def found(paths: Iterable[Path], suffix: str) -> list[Path]:
    """Return the files in `paths` and, of folders among them, those whose names end with `suffix`.

    Raises:
        StoreError: there is none.

    """
    given = list(paths)
    result = [file for path in given for file in (sorted(path.glob(f"*{suffix}")) if files.is_folder(path) else [path])]
    if not result:
        raise StoreError(f"{', '.join(map(str, given))}: holds no file *{suffix}; run the phase before this one")
    return result


def read_runs(paths: Sequence[Path]) -> list[RunRecord]:
    """Return the runs of single groups in `paths`, files or folders of them.

    Raises:
        StoreError: one cannot be read, or is there twice.

    """
    return store.load_different(found(paths, RUN_SUFFIX))
