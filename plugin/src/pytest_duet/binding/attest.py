"""Check that a worker ran what was asked for, and refuse every difference that would make the comparison unfair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.errors import Refused, Unavailable
from pytest_duet.protocol import VERSION
from pytest_duet.records.schema import Attestation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.protocol import HelloReply, Job, PrepareReply

BUSY_LIMIT: Final = 1.2
"""CPU time over wall time above which a one-thread case did not run on one thread."""

TICK_NS: Final = 20_000_000
"""How far the CPU time may be off: the kernel counts it in steps of 10 ms, and there is one step at either end."""


def check_hello(hello: HelloReply, *, name: str, sources: str, lock: str, build: str) -> None:
    """Refuse a worker that was built from other sources; `sources` and `lock` are digests, an empty one is not checked.

    Raises:
        Unavailable: it speaks another protocol.
        Refused: it is a debug build, or its sources or lock file differ.
    """
    rebuild = f"; rebuild it: {build}" if build else ""
    if hello.protocol != VERSION:
        msg = f"{name} speaks protocol {hello.protocol}, this pytest-duet speaks {VERSION}{rebuild}"
        raise Unavailable(msg)
    if hello.profile == "debug":
        raise Refused(f"{name} is a debug build; its times mean nothing{rebuild}")
    for what, seen, expected in (("sources", hello.source_digest, sources), ("lock", hello.lock_digest, lock)):
        if expected and seen != expected:
            msg = f"{name} is stale: it was built from {what} {seen[:12] or 'unknown'}, the tree holds {expected[:12]}"
            raise Refused(msg + rebuild)


def check_prepared(reply: PrepareReply, job: Job, *, name: str, hashes: Mapping[str, str]) -> None:
    """Refuse a member that prepared something other than `job`, or read files with SHA-256 other than `hashes`.

    Raises:
        Refused: parameters, threads, device, dtype or data differ.
    """
    for key in job.params.keys() | reply.params.keys():
        if key not in reply.params:
            msg = f"{name} ignores parameter {key!r} (asked {job.params[key]!r}); it must read it to be compared"
            raise Refused(msg)
        if key not in job.params or reply.params[key] != job.params[key]:
            raise Refused(f"{name} has {key} = {reply.params[key]!r}, the job says {job.params.get(key)!r}")
    if reply.threads > job.threads:
        raise Refused(f"{name} runs {reply.threads} threads, {job.threads} asked")
    if reply.device != job.device:
        raise Refused(f"{name} runs on {reply.device}, the job says {job.device}")
    if reply.dtype != job.dtype:
        raise Refused(f"{name} computes in {reply.dtype}, the job says {job.dtype}")
    if job.data and not reply.data:
        raise Refused(f"{name} read none of the data files; it must read them to be compared")
    for file, seen in reply.data.items():
        if seen != hashes.get(file):
            msg = f"{name} saw other data: {file} has SHA-256 {seen}, the data set's is {hashes.get(file, 'unknown')}"
            raise Refused(msg)


def check_busy(cpu_ns: int, wall_ns: int, *, name: str, threads: int) -> None:
    """Refuse a one-thread member that kept more than one CPU busy.

    Raises:
        Refused: its CPU time is more than `BUSY_LIMIT` times the wall time.
    """
    if threads == 1 and wall_ns > 0 and cpu_ns > BUSY_LIMIT * wall_ns + TICK_NS:
        raise Refused(
            f"{name} kept {cpu_ns / wall_ns:.2f} CPUs busy, but one thread was asked for, whatever it attests"
        )


def attestation(hello: HelloReply, prepared: PrepareReply) -> Attestation:
    """Return the attestation for the record: the fields of both replies."""
    fields = {**msgspec.structs.asdict(hello), **msgspec.structs.asdict(prepared)}
    return Attestation(**{name: fields[name] for name in Attestation.__struct_fields__})
