"""Baselines: the summaries of earlier runs that later runs are compared with, whichever tool saved them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.errors import StoreError
from pytest_duet.records import files, importers, journal, store
from pytest_duet.records.checksum import identity, verified_content, with_checksum
from pytest_duet.records.machine import folder
from pytest_duet.records.schema import Machine, Record
from pytest_duet.records.summaries import RunSummary, summary_of_run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCHEMA: Final = 1
NEWEST: Final = 30
"""How many runs of a folder make a baseline: more would add little precision, and older ones may no longer apply."""


class Baseline(Record, frozen=True):
    """Earlier runs that a later run is compared with, each with the digest that identifies it."""

    schema: int
    created: str
    runs: list[RunSummary]


_DECODER: Final = msgspec.json.Decoder(Baseline)


def load_summary(path: Path) -> RunSummary:
    """Return the summary of the run saved at `path` by pytest-duet, pytest-benchmark, hyperfine or pyperf.

    Raises:
        StoreError: the file is none of these.
    """
    content = files.read_regular(path)
    digest = identity(content)
    if path.suffix == ".jsonl":
        return summary_of_run(journal.read(path).run(), path.name, digest)
    document = files.parsed(path, content)
    if store.is_run(document):
        return summary_of_run(store.decoded_run(path, content, document), path.name, digest)
    if found := importers.summary(document, path.name, digest):
        return found
    what = "a saved run of pytest-duet, pytest-benchmark, hyperfine or pyperf"
    raise StoreError(f"{path}: is JSON, but not {what}; name one")


def load(paths: Sequence[Path], machine: Machine | None = None) -> Baseline:
    """Return the baseline in `paths`: saved baselines, saved runs, or folders of these.

    Of a folder, the runs that were created last count. Where a results folder has a subfolder for `machine`, that
    subfolder is used.

    Raises:
        StoreError: there is no run, or any of the files cannot be read; none is skipped.
    """
    runs: dict[str, RunSummary] = {}
    for path in paths:
        runs |= _newest(path, machine) if files.is_folder(path) else {each.digest: each for each in _runs_in(path)}
    if not runs:
        msg = f"{', '.join(map(str, paths))}: holds no saved run to compare with; save some, or name another"
        raise StoreError(msg)
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Baseline(schema=SCHEMA, created=created, runs=sorted(runs.values(), key=lambda run: run.created))


def save(baseline: Baseline, path: Path) -> None:
    """Write `baseline` to `path`, a file to keep with the sources: it holds one number for each case of each run.

    Raises:
        StoreError: it could not be written; what was at `path` is unchanged.
    """
    files.make_folder(path.parent)
    files.write_whole(path, with_checksum(msgspec.json.encode(baseline, order="deterministic")))


def _newest(path: Path, machine: Machine | None) -> dict[str, RunSummary]:
    """Return the newest runs in the folder `path` by their digests, so that copies of a run count once."""
    own = folder(path, machine) if machine is not None else path
    place = own if files.is_folder(own) else path
    try:
        candidates = [each for each in place.iterdir() if each.suffix == ".json" and not each.name.startswith(".")]
    except OSError as error:
        raise files.unlistable(place, error) from error
    found: dict[str, RunSummary] = {}
    for file in sorted(candidates, key=_created, reverse=True):
        if len(found) < NEWEST:
            found |= {each.digest: each for each in _runs_in(file)}
    return found


def _created(path: Path) -> str:
    """Return when the run at `path` was created; empty, and so the oldest, where the file does not say."""
    try:
        # A folder may hold thousands of runs; reading their headers is enough.
        return store.header(path).created
    except StoreError:
        return max(run.created for run in _runs_in(path))


def _runs_in(path: Path) -> list[RunSummary]:
    content = files.read_regular(path)
    document = files.parsed(path, content) if path.suffix != ".jsonl" else None
    if not (isinstance(document, dict) and "schema" in document and "runs" in document):
        return [load_summary(path)]
    store.check_schema(path, document["schema"], (SCHEMA,))
    return files.decoded(path, _DECODER, verified_content(path, content), "baseline").runs
