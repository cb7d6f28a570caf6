"""Saved runs: one folder a machine, one file a run, written whole and checked when read.

Every function raises a `StoreError` where it cannot do so; no partial file is left.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeGuard

import msgspec

from pytest_duet.errors import StoreError
from pytest_duet.records import files, journal
from pytest_duet.records.checksum import identity, verified_content, with_checksum
from pytest_duet.records.machine import folder
from pytest_duet.records.schema import READABLE, Machine, RunHeader, RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DECODER: Final = msgspec.json.Decoder(RunRecord)
_HEADER: Final = msgspec.json.Decoder(RunHeader)
_CHECKSUM_SINCE: Final = 4
"""The first schema whose files end with a checksum."""
_HEADER_BYTES: Final = 4096
"""A run's header is far shorter."""
_RUN_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}\.json")


def check_writable(root: Path, machine: Machine) -> Path:
    """Return the folder for runs of `machine`, after writing a file there: before any time is spent on measuring."""
    target = folder(root, machine)
    probe = target / f".probe-{secrets.token_hex(4)}"
    files.make_folder(target)
    try:
        files.write_whole(probe, b"probe\n")
        probe.unlink()
    except OSError as error:
        raise files.unwritable(target, error) from error
    return target


def save(run: RunRecord, root: Path) -> Path:
    """Save `run` under `root`, by a name that no other session can use, and return its path."""
    path = folder(root, run.machine) / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.json"
    files.make_folder(path.parent)
    write(run, path)
    return path


def write(run: RunRecord, path: Path) -> None:
    """Write `run` to `path`, with a checksum."""
    files.write_whole(path, with_checksum(msgspec.json.encode(run, order="deterministic")))


def load(path: Path) -> RunRecord:
    """Return the run saved at `path`: a run (``.json``), or a journal (``.jsonl``), which becomes an incomplete run.

    Raises:
        StoreError: the file is neither; the message ends with the remedy.
    """
    if path.suffix == ".jsonl":
        return journal.read(path).run()
    content = files.read_regular(path)
    document = files.parsed(path, content)
    if not is_run(document):
        raise StoreError(f"{path}: is JSON, but not a run of pytest-duet; name a file that it saved under results/")
    return decoded_run(path, content, document)


def load_different(paths: Sequence[Path]) -> list[RunRecord]:
    """Return the runs saved at `paths`.

    Raises:
        StoreError: one is not a saved run, or two are the same run.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        digest = identity(files.read_regular(path))
        if digest in seen:
            raise StoreError(f"{path}: is the same run as {seen[digest]}; name each run once")
        seen[digest] = path
    return [load(path) for path in paths]


def is_run(document: object) -> TypeGuard[dict[str, object]]:
    """Return whether the JSON `document` looks like a run of pytest-duet."""
    return isinstance(document, dict) and "schema" in document and "groups" in document


def decoded_run(path: Path, content: bytes, document: dict[str, object]) -> RunRecord:
    """Return the run in `content`, read from `path` and parsed as `document`; its schema is checked before its fields.

    Raises:
        StoreError: its schema is not readable, it was edited, or it is damaged.
    """
    if check_schema(path, document["schema"], READABLE) >= _CHECKSUM_SINCE:
        content = verified_content(path, content)
    return files.decoded(path, _DECODER, content, "run")


def check_schema(path: Path, schema: object, readable: tuple[int, ...]) -> int:
    """Return the `schema` of the file at `path`.

    Raises:
        StoreError: it is not one of `readable`.
    """
    if isinstance(schema, int) and schema in readable and not isinstance(schema, bool):
        return schema
    newest = max(readable)
    remedy = "update pytest-duet" if isinstance(schema, int) and schema > newest else "measure again"
    raise StoreError(f"{path}: has schema {schema!r}; this version reads up to {newest}: {remedy}")


def saved(root: Path, machine: Machine) -> list[Path]:
    """Return the paths of the saved runs of `machine`, newest first."""
    target = folder(root, machine)
    try:
        names = [entry.name for entry in target.iterdir() if _RUN_NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise files.unlistable(target, error) from error
    return [target / name for name in sorted(names, reverse=True)]


def header(path: Path) -> RunHeader:
    """Return the header of the run saved at `path`, without reading its groups.

    Raises:
        StoreError: the file does not begin like a run.
    """
    before, found, _ = files.read_regular(path, at_most=_HEADER_BYTES).partition(b',"groups":')
    if not found:
        raise StoreError(f"{path}: does not begin like a saved run; name a file that was saved under results/")
    return files.decoded(path, _HEADER, before + b"}", "run")
