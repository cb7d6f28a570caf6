"""The files that one phase passes to the next: specs, validations, and runs of single groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.errors import StoreError
from pytest_duet.records import files
from pytest_duet.spec.derived import PlannedSpec
from pytest_duet.spec.group import GroupSpec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SPEC_SUFFIX: Final = ".spec.json"
VALIDATION_SUFFIX: Final = ".validation.json"
RUN_SUFFIX: Final = ".run.json"
_WRITTEN_BY: Final = {SPEC_SUFFIX: "plan", VALIDATION_SUFFIX: "validate", RUN_SUFFIX: "measure"}

_SPEC: Final = msgspec.json.Decoder(GroupSpec)
_PLAN: Final = msgspec.json.Decoder(list[PlannedSpec])


def slug(spec: GroupSpec) -> str:
    """Return the file name of a group without suffix: its id, safe in a path, then profile, threads and device."""
    name = f"{spec.id}@{spec.profile}@threads={spec.threads}@{spec.device}"
    return "".join(letter if letter.isalnum() or letter in "-_.=@" else "-" for letter in name)


def read_specs(paths: Iterable[Path]) -> list[GroupSpec]:
    """Return the specs in `paths`: files or folders of ``duet plan --into``, or the output of ``duet plan --json``.

    Raises:
        StoreError: a file holds neither, or a folder no spec.
    """
    specs: list[GroupSpec] = []
    for path in found(paths, SPEC_SUFFIX):
        content = files.read_regular(path)
        remedy = "write it with duet plan --into DIR, or duet plan --json"
        if content.lstrip()[:1] == b"[":
            plan = files.understood(_PLAN.decode, content, f"{path}: is no plan of this version", remedy)
            specs += [each.spec for each in plan]
        else:
            specs.append(files.understood(_SPEC.decode, content, f"{path}: is no group spec of this version", remedy))
    return specs


def write_specs(specs: Iterable[GroupSpec], into: Path) -> list[Path]:
    """Write each of `specs` to its own file in the folder `into`, and return the paths.

    Raises:
        StoreError: one cannot be written.
    """
    files.make_folder(into)
    paths = []
    for spec in specs:
        paths.append(into / f"{slug(spec)}{SPEC_SUFFIX}")
        files.write_whole(paths[-1], spec.to_json() + b"\n")
    return paths


def found(paths: Iterable[Path], suffix: str) -> list[Path]:
    """Return the files among `paths`, and the files in the folders among them whose names end with `suffix`.

    Raises:
        StoreError: there are none.
    """
    given = list(paths)
    result = [file for path in given for file in (sorted(path.glob(f"*{suffix}")) if files.is_folder(path) else [path])]
    if not result:
        remedy = f"write one with duet {_WRITTEN_BY[suffix]} --into DIR"
        raise StoreError(f"{', '.join(map(str, given))}: holds no file *{suffix}; {remedy}")
    return result
