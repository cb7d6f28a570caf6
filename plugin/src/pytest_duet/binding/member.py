"""One member while it runs: launched, attested, prepared and asked for its outputs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from pytest_duet.binding import attest
from pytest_duet.digests import digest_outputs, file_digest, source_digest
from pytest_duet.errors import MemberError, ProtocolError, Refused, Skipped, Unavailable
from pytest_duet.protocol import Job
from pytest_duet.records.schema import Attestation, Bound, MemberRecord, ParityRecord, Reading
from pytest_duet.workers.client import Client, DirectChannel
from pytest_duet.workers.process import spawn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import ExitStack

    from pytest_duet.binding.bind import Arrays, BoundGroup
    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.protocol import HelloReply, VerifyReply
    from pytest_duet.spec.group import LaunchSpec, MemberSpec
    from pytest_duet.vocabulary import Status
    from pytest_duet.workers.host import Host
    from pytest_duet.workers.spawner import Spawner

_PILOT_NS: Final = 20e6
_SHORTEST_PILOT_NS: Final = 100_000
_MOST_PILOT_ROUNDS: Final = 30
_EVIDENCE: Final = frozenset(
    ["log", "attestation", "parity", "quality", "iterations", "converged", "calls_per_round", "work", "readings"]
)
"""What the record keeps of a member whatever its status."""
_TIMES: Final = frozenset(["first_call_ns", "cells", "spans"])


def open_client(group: BoundGroup, name: str, *, served: bool = False) -> Client:
    """Launch the worker of member `name`, as `launch_client` does."""
    seconds = group.spec.budget.request_seconds
    return launch_client(group.launches[name], name, seconds, host=group.hosts.get(name), served=served)


def launch_client(
    launch: LaunchSpec, name: str, seconds: float, *, host: Callable[[], Host] | None = None, served: bool = False
) -> Client:
    """Launch a worker called `name`. Each request may take `seconds`. A direct worker is `host`, unless `served`.

    Raises:
        Unavailable: it cannot be launched.
    """
    if launch.missing:
        raise Unavailable(launch.missing)
    if launch.kind == "direct" and not served:
        assert host is not None
        return Client(DirectChannel(host(), name), name, seconds=seconds)
    if not launch.argv:
        raise Unavailable(launch.unserved or f"{name} cannot run in a process of its own")
    channel = spawn(launch.argv, name=name, environment=launch.environment, build=launch.build)
    return Client(channel, name, seconds=seconds)


def make_job(group: BoundGroup, name: str, files: DataSet, *, for_quality: bool = False) -> Job:
    """Return the job of member `name`; with `for_quality` it has the parameters that quality is judged by."""
    spec, member = group.spec, group.spec.member(name)
    quality = member.quality_params if for_quality else None
    planned = ("task", "algorithm", "phase", "workload", "seed", "threads", "device", "dtype")
    return Job(
        **{field: getattr(spec, field) for field in planned},
        variant=member.variant,
        params=member.params if quality is None else quality,
        data={file: str(path) for file, path in files.files.items()},
    )


@dataclass
class Member:
    """One member: its worker while it runs, and everything that is known of it so far.

    Whatever its worker does wrong raises `MemberError`. `outputs` are those of the verified call. A call takes about
    `call_ns`, 0 until it is estimated; it was warm after `warm_after` calls, or never if `settled` is False. `scaled` is
    the time of a call over that with an eighth of the work.
    """

    spec: MemberSpec
    client: Client | None = None
    hello: HelloReply | None = None
    status: Status = "ok"
    reason: str = ""
    log: str = ""
    attestation: Attestation | None = None
    parity: list[ParityRecord] = field(default_factory=list)
    quality: list[Bound] = field(default_factory=list)
    iterations: int | None = None
    converged: bool | None = None
    first_call_ns: int | None = None
    outputs: Arrays = field(default_factory=dict)
    most_calls: int | None = None
    call_ns: float = 0.0
    warm_after: int = 0
    settled: bool = True
    scaled: float = 0.0
    calls_per_round: int = 1
    cells: list[list[list[int]]] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    left_behind: int = 0

    @property
    def name(self) -> str:
        """Its name in the group."""
        return self.spec.name

    @property
    def is_ok(self) -> bool:
        """Whether nothing has gone wrong so far."""
        return self.status == "ok"

    def fail(self, error: MemberError) -> None:
        """Record why this member has no comparison."""
        self.status, self.reason, self.log = error.status, str(error), error.log

    def open(self, group: BoundGroup, stack: ExitStack, *, served: bool = False) -> None:
        """Launch its worker, as `open_client` does, and check its build; `stack` closes it."""
        if self.spec.unsound:
            raise Skipped(f"not comparable: {self.spec.unsound}")
        self.client = open_client(group, self.name, served=served)
        stack.callback(self.close)
        self.hello = self.client.hello()
        launch = group.launches[self.name]
        attest.check_hello(
            self.hello,
            name=self.name,
            sources=source_digest(map(Path, launch.sources)) if launch.sources else "",
            lock=file_digest(Path(launch.lock)) if launch.lock else "",
            build=launch.build,
        )

    def close(self) -> None:
        """Close its worker, and count the processes that it left behind."""
        if self.client is not None:
            self.client.close()
            self.left_behind += self.client.left_behind

    def prepare(self, group: BoundGroup, files: DataSet, *, for_quality: bool = False) -> None:
        """Make it load its job, and check that it loaded what was asked for."""
        assert self.client is not None
        assert self.hello is not None
        job = make_job(group, self.name, files, for_quality=for_quality)
        reply = self.client.prepare(job)
        attest.check_prepared(reply, job, name=self.name, hashes=files.hashes)
        self.attestation = attest.attestation(self.hello, reply)
        self.most_calls = reply.max_iterations

    def launch_fresh(self, group: BoundGroup, files: DataSet, spawner: Spawner) -> Client:
        """Return a fresh worker with the job prepared, checked to be the build that was validated."""
        seconds = group.spec.budget.request_seconds
        client = Client(spawner.start(group.launches[self.name], self.name, seconds), self.name, seconds=seconds)
        try:
            hello = client.hello()
            self.check_unchanged(hello.source_digest, hello.versions)
            job = make_job(group, self.name, files)
            attest.check_prepared(client.prepare(job), job, name=self.name, hashes=files.hashes)
        except BaseException:
            client.close()
            raise
        return client

    def check_unchanged(self, sources: str, versions: Mapping[str, str]) -> None:
        """Refuse a worker that is built from other `sources` or uses other `versions` than this member's."""
        if self.hello is None or (sources, versions) != (self.hello.source_digest, self.hello.versions):
            raise Refused(f"{self.name} changed while it was measured: it is no longer what was checked; measure again")

    def verify(self) -> tuple[VerifyReply, Arrays]:
        """Run one call; return the reply and the outputs."""
        assert self.client is not None
        with tempfile.TemporaryDirectory(prefix="duet-") as folder:
            reply = self.client.verify(Path(folder))
            return reply, read_outputs(reply.outputs, reply.digest, Path(folder), self.name)

    def pilot_ns(self, first_ns: float) -> float:
        """Return how long one call takes, in ns: the fastest of a few rounds; `first_ns` is a first estimate."""
        assert self.client is not None
        # Enough calls a round for the clock to see them, enough rounds for one to be undisturbed.
        calls = max(1, min(self.most_calls or 1_000_000, round(_SHORTEST_PILOT_NS / first_ns)))
        rounds = max(1, min(_MOST_PILOT_ROUNDS, int(_PILOT_NS / (first_ns * calls))))
        return min(self.client.run(rounds, calls).elapsed_ns) / calls

    def record(self) -> MemberRecord:
        """Return the record to save; a member that is not ok keeps its evidence and loses its times."""
        kept = _EVIDENCE | _TIMES if self.is_ok else _EVIDENCE
        fields = {name: getattr(self, name) for name in kept}
        return msgspec.structs.replace(unmeasured(self.spec, self.status, self.reason), **fields)


def kept_outputs(client: Client, digest: str | None) -> Arrays:
    """Return the outputs of the round that `client` kept; `digest` is the one it reported when it ran the round.

    Raises:
        MemberError: the worker fails, or the outputs cannot be read or have another digest.
    """
    with tempfile.TemporaryDirectory(prefix="duet-") as folder:
        reply = client.outputs(Path(folder))
        if reply.digest != digest:
            raise ProtocolError(f"{client.name} hands over other outputs than those of the round it was to keep")
        return read_outputs(reply.outputs, reply.digest, Path(folder), client.name)


def read_outputs(paths: Mapping[str, str], digest: str, folder: Path, name: str) -> Arrays:
    """Return the arrays that a worker wrote into `folder`, with the digest that it reported.

    Raises:
        ProtocolError: a file is in another folder or holds no array, or the arrays have another digest.
    """
    if not paths:
        raise ProtocolError(f"{name} handed over no outputs; parity cannot be judged without")
    arrays = {}
    for output, path in paths.items():
        if Path(path).resolve().parent != folder.resolve():
            raise ProtocolError(f"{name} wrote output {output!r} outside of the folder it was given")
        try:
            arrays[output] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ProtocolError(f"{name}: output {output!r} cannot be read: {error}") from error
    seen = digest_outputs(arrays)
    if seen != digest:
        raise ProtocolError(f"{name} says its outputs have digest {digest[:12]}, the files it wrote have {seen[:12]}")
    return arrays


def unmeasured(spec: MemberSpec, status: Status, reason: str) -> MemberRecord:
    """Return the record of a member that was not measured: its spec's part, its status and the reason."""
    planned = {field: getattr(spec, field) for field in ("name", "framework", "variant", "role", "language", "against")}
    return MemberRecord(**planned, status=status, reason=reason, reproducer=spec.reproducer if spec.unsound else "")
