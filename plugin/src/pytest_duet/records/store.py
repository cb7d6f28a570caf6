"""Saved runs: one folder a machine, one file a run, written whole and read with suspicion.

Not for the journal of a run under way (``journal``) nor for what a run means (``comparison``).
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeGuard, TypeVar

import msgspec

from pytest_duet.analysis import baseline
from pytest_duet.analysis.baseline import Baseline
from pytest_duet.errors import StoreError
from pytest_duet.records import files, importers, journal
from pytest_duet.records.checksum import identity, verified_content, with_checksum
from pytest_duet.records.schema import READABLE, SCHEMA, Machine, RunRecord
from pytest_duet.records.summaries import RunSummary, summary_of_run

if TYPE_CHECKING:
    from collections.abc import Sequence

_T = TypeVar("_T")
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(RunRecord)
_BASELINE: Final = msgspec.json.Decoder(Baseline)
_SEALED_FROM: Final = 4
_HEADER_BYTES: Final = 4096
"""What comes before the groups of a run is far shorter."""

NEWEST: Final = 30
"""How many runs of a folder make a baseline: more would hardly sharpen it, and older ones may be of another time."""

_RUN_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}\.json")
_LONGEST_SLUG: Final = 40


class Header(journal.Header, frozen=True):
    """What a saved run says before its groups; `complete` is False where it was interrupted."""

    complete: bool


_HEADER: Final = msgspec.json.Decoder(Header)


def machine() -> Machine:
    """Return this machine, without host name, user or path.

    The fingerprint is a SHA-256 over what makes times comparable: processor, number of CPUs, memory in GiB,
    architecture, and the kernel's major and minor version. Two machines of one model share it.
    """
    import psutil

    cpu = _cpu_model()
    logical_cpus = psutil.cpu_count() or os.cpu_count() or 1
    memory_bytes = int(psutil.virtual_memory().total)
    kernel = ".".join(re.findall(r"\d+", platform.release())[:2])
    architecture = platform.machine()
    parts = (cpu, str(logical_cpus), str(round(memory_bytes / 1024**3)), architecture, kernel)
    return Machine(
        fingerprint=hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16],
        cpu=cpu,
        logical_cpus=logical_cpus,
        memory_bytes=memory_bytes,
        kernel=kernel,
        architecture=architecture,
    )


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def folder(root: Path, machine: Machine) -> Path:
    """Return where runs of `machine` lie in the folder of results `root`: ``<root>/<processor>-<fingerprint>``.

    Raises:
        StoreError: the fingerprint is none, so that no path may be made of it.

    """
    if not re.fullmatch(r"[0-9a-f]{8,64}", machine.fingerprint):
        msg = f"machine has fingerprint {machine.fingerprint!r}; it must be 8 to 64 hexadecimal digits"
        raise StoreError(msg)
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", " ", machine.cpu.lower())).strip("-")
    return root / f"{slug[:_LONGEST_SLUG].strip('-') or 'unknown'}-{machine.fingerprint[:8]}"


def check_writable(root: Path, machine: Machine) -> Path:
    """Prove, before any time is spent, that a run can be saved; return the folder it will go to.

    Raises:
        StoreError: the folder cannot be made or written.

    """
    target = folder(root, machine)
    probe = target / f".probe-{secrets.token_hex(4)}"
    try:
        target.mkdir(parents=True, exist_ok=True)
        files.write_whole(probe, b"probe\n")
        probe.unlink()
    except OSError as error:
        raise files.unwritable(target, error) from error
    return target


def save(run: RunRecord, root: Path) -> Path:
    """Save `run` under `root` by a name no other session can take, and return its path.

    Raises:
        StoreError: it could not be written; nothing half-written stays behind.

    """
    target = folder(root, run.machine)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(4)}.json"
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.unwritable(target, error) from error
    write(run, target / name)
    return target / name


def write(run: RunRecord, path: Path) -> None:
    """Write `run` to `path`, with a checksum.

    Raises:
        StoreError: it could not be written; nothing half-written stays behind.

    """
    files.write_whole(path, with_checksum(_ENCODER.encode(run)))


def load(path: Path) -> RunRecord:
    """Return the run saved at `path`, a run (``.json``) or a journal (``.jsonl``), which makes an incomplete run.

    Raises:
        StoreError: it is no such file, with what to do about it.

    """
    if path.suffix == ".jsonl":
        return journal.read(path).run()
    content = files.read_regular(path)
    document = _parsed(path, content)
    if not _is_run(document):
        msg = f"{path}: is JSON but no run of pytest-duet; name a file that it saved under results/"
        raise StoreError(msg)
    return _run(path, content, document)


def load_different(paths: Sequence[Path]) -> list[RunRecord]:
    """Return the runs saved at `paths`.

    Raises:
        StoreError: one is no such file, or is there twice.

    """
    seen: dict[str, Path] = {}
    for path in paths:
        digest = identity(files.read_regular(path))
        if digest in seen:
            msg = f"{path}: is the same run as {seen[digest]}; name each run once"
            raise StoreError(msg)
        seen[digest] = path
    return [load(path) for path in paths]


def _parsed(path: Path, content: bytes) -> object:
    remedy = "it may be cut off: take another saved run"
    return files.understood(files.parse, content, f"{path}: is not whole JSON", remedy)


def _is_run(document: object) -> TypeGuard[dict[str, object]]:
    return isinstance(document, dict) and "schema" in document and "groups" in document


def _run(path: Path, content: bytes, document: dict[str, object]) -> RunRecord:
    """Return the run in `content`; its schema is looked at before its shape."""
    schema = document["schema"]
    _check_schema(path, schema, READABLE, SCHEMA)
    if isinstance(schema, int) and schema >= _SEALED_FROM:
        content = verified_content(path, content)
    return _decoded(path, _DECODER, content, "run")


def _check_schema(path: Path, schema: object, readable: tuple[int, ...], newest: int) -> None:
    if schema not in readable or isinstance(schema, bool):
        remedy = "update pytest-duet" if isinstance(schema, int) and schema > newest else "measure anew"
        msg = f"{path}: has schema {schema!r}; this version reads up to {newest}: {remedy}"
        raise StoreError(msg)


def _decoded(path: Path, decoder: msgspec.json.Decoder[_T], content: bytes, what: str) -> _T:
    return files.understood(decoder.decode, content, f"{path}: is a damaged {what}", f"take another saved {what}")


def saved(root: Path, machine: Machine) -> list[Path]:
    """Return the saved runs of `machine`, newest first.

    Raises:
        StoreError: the folder cannot be listed.

    """
    target = folder(root, machine)
    try:
        names = [entry.name for entry in target.iterdir() if _RUN_NAME.fullmatch(entry.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        msg = f"{target}: cannot be listed ({error.strerror}); check its permissions"
        raise StoreError(msg) from error
    return [target / name for name in sorted(names, reverse=True)]


def header(path: Path) -> Header:
    """Return what the run saved at `path` says before its groups, reading no more than that.

    Raises:
        StoreError: it does not begin like a run.

    """
    beginning = files.read_regular(path, at_most=_HEADER_BYTES)
    before, found, _ = beginning.partition(b',"groups":')
    if not found:
        msg = f"{path}: does not begin like a saved run; name a file that was saved under results/"
        raise StoreError(msg)
    return _decoded(path, _HEADER, before + b"}", "run")


# --- runs as figures, whatever tool saved them ----------------------------------------------------------------------------


def load_summary(path: Path) -> RunSummary:
    """Return the figures of the run saved at `path` by pytest-duet, pytest-benchmark, hyperfine or pyperf.

    Raises:
        StoreError: it is no such file.

    """
    content = files.read_regular(path)
    digest = identity(content)
    if path.suffix == ".jsonl":
        return summary_of_run(journal.read(path).run(), path.name, digest)
    document = _parsed(path, content)
    if _is_run(document):
        return summary_of_run(_run(path, content, document), path.name, digest)
    found = importers.summary(document, path.name, digest)
    if found is None:
        msg = f"{path}: is JSON, but no saved run of pytest-duet, pytest-benchmark, hyperfine or pyperf; name one"
        raise StoreError(msg)
    return found


def load_baseline(paths: Sequence[Path], like: Machine | None = None) -> Baseline:
    """Return the baseline in `paths`: files of `save_baseline`, saved runs, or folders of them.

    Of a folder the newest runs count, by when they were created. A folder of results that holds one for each machine means
    that of machine `like`.

    Raises:
        StoreError: there is nothing, or anything in it cannot be read; nothing else takes its place silently.

    """
    runs: dict[str, RunSummary] = {}
    for path in paths:
        runs |= _newest(path, like) if files.is_folder(path) else {each.digest: each for each in _pinned(path)}
    if not runs:
        msg = f"{', '.join(map(str, paths))}: holds no saved run to compare with; save some, or name another"
        raise StoreError(msg)
    return Baseline(schema=baseline.SCHEMA, created=_now(), runs=sorted(runs.values(), key=lambda run: run.created))


def _newest(path: Path, like: Machine | None) -> dict[str, RunSummary]:
    """Return the newest runs in the folder `path` by what tells them apart; copies of one are one."""
    own = folder(path, like) if like is not None else path
    place = own if files.is_folder(own) else path
    try:
        found_files = [each for each in place.iterdir() if each.suffix == ".json" and not each.name.startswith(".")]
    except OSError as error:
        msg = f"{place}: cannot be listed ({error.strerror}); check its permissions"
        raise StoreError(msg) from error
    found: dict[str, RunSummary] = {}
    for file in sorted(found_files, key=_created, reverse=True):
        if len(found) >= NEWEST:
            break
        found |= {each.digest: each for each in _pinned(file)}
    return found


def _created(path: Path) -> str:
    """Return when the file at `path` says it was created, empty where it does not: it counts as oldest."""
    try:
        # Without reading all of it: there may be thousands.
        return header(path).created
    except StoreError:
        return max(run.created for run in _pinned(path))


def _pinned(path: Path) -> list[RunSummary]:
    content = files.read_regular(path)
    document = _parsed(path, content) if path.suffix != ".jsonl" else None
    if not (isinstance(document, dict) and "schema" in document and "runs" in document):
        return [load_summary(path)]
    _check_schema(path, document["schema"], (baseline.SCHEMA,), baseline.SCHEMA)
    return _decoded(path, _BASELINE, verified_content(path, content), "baseline").runs


def save_baseline(found: Baseline, path: Path) -> None:
    """Write `found` to `path`, to be kept with the sources: it holds one number a case and run, and digests of the runs.

    Raises:
        StoreError: it could not be written; what was at `path` is as it was.

    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise files.unwritable(path, error) from error
    files.write_whole(path, with_checksum(_ENCODER.encode(found)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
