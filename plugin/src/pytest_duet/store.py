"""Saved runs: one folder a machine, one file a run, written whole and read with suspicion.

Not for the journal of a run under way (``journal``) nor for what a run means (``comparison``).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from pytest_duet import disk, journal
from pytest_duet.errors import StoreError
from pytest_duet.record import READABLE, SCHEMA, Machine, RunRecord

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_DECODER: Final = msgspec.json.Decoder(RunRecord)
_RUN_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}\.json")
_LONGEST_SLUG: Final = 40


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
        disk.write_whole(probe, b"probe\n")
        probe.unlink()
    except OSError as error:
        raise disk.unwritable(target, error) from error
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
        raise disk.unwritable(target, error) from error
    disk.write_whole(target / name, _ENCODER.encode(run) + b"\n")
    return target / name


def load(path: Path) -> RunRecord:
    """Return the run saved at `path`, a run (``.json``) or a journal (``.jsonl``), which makes an incomplete run.

    Raises:
        StoreError: it is no such file, with what to do about it.

    """
    if path.suffix == ".jsonl":
        return journal.read(path).run()
    content = disk.read_regular(path)
    _check_foundations(path, content)
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"{path}: is a damaged run ({error}); take another saved run"
        raise StoreError(msg) from error


def _check_foundations(path: Path, content: bytes) -> None:
    """Refuse what is no JSON, is ambiguous, or is of another schema, before its shape is looked at."""
    try:
        document = json.loads(content, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        msg = f"{path}: is not whole JSON ({error}); it may be cut off: take another saved run"
        raise StoreError(msg) from error
    if not isinstance(document, dict) or "schema" not in document or "groups" not in document:
        msg = f"{path}: is JSON but no run of pytest-duet; name a file that it saved under results/"
        raise StoreError(msg)
    schema = document["schema"]
    if schema not in READABLE or isinstance(schema, bool):
        newer = isinstance(schema, int) and schema > SCHEMA
        remedy = "update pytest-duet" if newer else "measure anew"
        msg = f"{path}: has schema {schema!r}; this version reads up to {SCHEMA}: {remedy}"
        raise StoreError(msg)


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        msg = f"key {twice!r} appears twice"
        raise ValueError(msg)
    return result


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


def latest(root: Path, machine: Machine) -> RunRecord | None:
    """Return the newest saved run of `machine`, or None where there is none.

    Raises:
        StoreError: the newest one cannot be read; an older one never takes its place silently.

    """
    paths = saved(root, machine)
    return load(paths[0]) if paths else None
