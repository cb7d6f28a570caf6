"""Decide whether what really ran is what was asked for; a difference that would make the comparison unfair is refused.

Not for asking the worker: it sees replies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_duet.errors import Refused, Unavailable
from pytest_duet.protocol import VERSION
from pytest_duet.records.schema import Attestation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.protocol import HelloReply, Job, PrepareReply

BUSY_LIMIT: Final = 1.2
"""CPU time over wall time above which a one-thread case did not run on one thread."""

TICK_NS: Final = 20_000_000
"""What the count of CPU time may be off by: it goes in steps of 10 ms, one at either end."""


def check_hello(hello: HelloReply, *, name: str, sources: str, lock: str, build: str) -> None:
    """Refuse a worker that is not what the tree says; `sources` and `lock` are digests, empty where there is nothing to hold it to.

    Raises:
        Unavailable: it speaks another protocol.
        Refused: a debug build, or one of other sources.

    """
    rebuild = f"; rebuild it: {build}" if build else ""
    if hello.protocol != VERSION:
        msg = f"{name} speaks protocol {hello.protocol}, this pytest-duet speaks {VERSION}{rebuild}"
        raise Unavailable(msg)
    if hello.profile == "debug":
        raise Refused(f"{name} is a debug build; times of it mean nothing{rebuild}")
    if sources and hello.source_digest != sources:
        msg = f"{name} is stale: it was built from sources {hello.source_digest[:12] or 'unknown'}, the tree holds {sources[:12]}"
        raise Refused(msg + rebuild)
    if lock and hello.lock_digest != lock:
        msg = (
            f"{name} is stale: it was built from lock {hello.lock_digest[:12] or 'unknown'}, the tree holds {lock[:12]}"
        )
        raise Refused(msg + rebuild)


def check_prepared(reply: PrepareReply, job: Job, *, name: str, hashes: Mapping[str, str]) -> None:
    """Refuse a member that prepared something else than `job` on the bytes with `hashes`.

    Raises:
        Refused: parameters, threads, device, dtype or data differ.

    """
    for key in job.params.keys() | reply.params.keys():
        if key not in reply.params:
            raise Refused(
                f"{name} ignores parameter {key!r} (asked {job.params[key]!r}); it must read it to be compared"
            )
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
    """Refuse a one-thread member that kept more than one processor busy.

    Raises:
        Refused: CPU time is more than `BUSY_LIMIT` times wall time.

    """
    if threads == 1 and wall_ns > 0 and cpu_ns > BUSY_LIMIT * wall_ns + TICK_NS:
        msg = f"{name} kept {cpu_ns / wall_ns:.2f} processors busy where one thread was asked, whatever it attests"
        raise Refused(msg)


def attestation(hello: HelloReply, prepared: PrepareReply) -> Attestation:
    """Return what goes into the record."""
    return Attestation(
        framework=hello.framework,
        versions=hello.versions,
        compiler=hello.compiler,
        profile=hello.profile,
        source_digest=hello.source_digest,
        lock_digest=hello.lock_digest,
        features=hello.features,
        blas=hello.blas,
        details=hello.details,
        params=prepared.params,
        threads=prepared.threads,
        device=prepared.device,
        dtype=prepared.dtype,
        data=prepared.data,
    )
