"""One member on its way through a group: started, attested, verified, held against the reference.

Not for time: ``timing`` and ``group`` do that with the client kept here.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_duet.digests import digest_outputs
from pytest_duet.errors import Invalid, MemberError, ProtocolError, Refused, Skipped, Unavailable
from pytest_duet.protocol import Job, from_number, to_number
from pytest_duet.records.schema import Attestation, Bound, MemberRecord, ParityRecord, Reading
from pytest_duet.validate import attest, parity
from pytest_duet.workers.client import Client
from pytest_duet.workers.direct import DirectChannel
from pytest_duet.workers.process import spawn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    import numpy.typing as npt

    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.protocol import HelloReply, VerifyReply
    from pytest_duet.spec.group import Effect, GroupSpec, MemberSpec
    from pytest_duet.vocabulary import Status
    from pytest_duet.workers.spawner import Spawner

    Arrays = Mapping[str, npt.NDArray[np.generic]]


_PILOT_NS: Final = 20e6
_SHORTEST_LOOK_NS: Final = 100_000
_MOST_LOOKS: Final = 30


@dataclass(frozen=True)
class Files:
    """The data files of a group with their hashes, checkpoint included, and the arrays quality reads."""

    paths: Mapping[str, Path]
    hashes: Mapping[str, str]
    arrays: Mapping[str, Any]
    digest: str

    @classmethod
    def of(cls, data: DataSet) -> Files:
        """Return the files of a data set, which have no checkpoint among them yet."""
        return cls(data.files, data.hashes, data.arrays, data.digest)


@dataclass
class Member:
    """What is known of one member so far; `record` closes the book."""

    plan: MemberSpec
    client: Client | None = None
    hello: HelloReply | None = None
    status: Status = "ok"
    reason: str = ""
    log: str = ""
    attestation: Attestation | None = None
    parity: list[ParityRecord] = field(default_factory=list)
    quality: list[Bound] = field(default_factory=list)
    verified: VerifyReply | None = None
    outputs: Arrays = field(default_factory=dict)
    most_calls: int | None = None
    call_ns: float = 0.0
    warm_after: int = 0
    grown: float = 0.0
    calls_per_round: int = 1
    cells: list[list[list[int]]] = field(default_factory=list)
    work: dict[str, int] = field(default_factory=dict)
    spans: dict[str, int] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    left_behind: int = 0

    def fail(self, error: MemberError) -> None:
        """Note why this member has no comparison."""
        self.status, self.reason, self.log = error.status, str(error), error.log

    @property
    def is_ok(self) -> bool:
        """Say whether nothing has gone wrong so far."""
        return self.status == "ok"

    def close(self) -> None:
        """Let its worker go, and note what that had left behind."""
        if self.client is not None:
            self.client.close()
            self.left_behind += self.client.left_behind

    def record(self) -> MemberRecord:
        """Return what is saved; a member that is not ok keeps its evidence and loses its times."""
        return MemberRecord(
            name=self.plan.name,
            framework=self.plan.framework,
            variant=self.plan.variant,
            role=self.plan.role,
            language=self.plan.language,
            status=self.status,
            reason=self.reason,
            log=self.log,
            reproducer=self.plan.reproducer if self.plan.unsound else "",
            against=self.plan.against,
            attestation=self.attestation,
            parity=self.parity,
            quality=self.quality,
            iterations=self.verified.iterations if self.verified else None,
            converged=self.verified.converged if self.verified else None,
            first_call_ns=self.verified.elapsed_ns if self.verified and self.is_ok else None,
            calls_per_round=self.calls_per_round,
            cells=self.cells if self.is_ok else [],
            work=self.work,
            spans=self.spans if self.is_ok else {},
            readings=self.readings,
        )


def open_client(plan: MemberSpec, seconds: float, *, served: bool = False) -> Client:
    """Start the worker of `plan`: as it is timed, or (`served`) as a process of its own in any case.

    Raises:
        Unavailable: it cannot be started.

    """
    start = plan.start
    if start.missing:
        raise Unavailable(start.missing)
    if start.kind == "direct" and not served:
        assert start.host is not None
        return Client(DirectChannel(start.host(), plan.name), plan.name, seconds=seconds)
    if not start.argv:
        raise Unavailable(start.unserved or f"{plan.name} cannot run in a process of its own")
    channel = spawn(start.argv, name=plan.name, environment=start.environment, build=start.build)
    return Client(channel, plan.name, seconds=seconds)


def make_job(group: GroupSpec, plan: MemberSpec, files: Files, *, for_quality: bool = False) -> Job:
    """Return what `plan`'s worker is told."""
    quality = plan.quality_params if for_quality else None
    return Job(
        task=group.task,
        algorithm=group.algorithm,
        phase=group.phase,
        workload=group.workload,
        variant=plan.variant,
        params={
            name: to_number(value) if isinstance(value, float) else value
            for name, value in (quality if quality is not None else plan.params).items()
        },
        seed=group.seed,
        threads=group.threads,
        device=group.device,
        dtype=group.dtype,
        data={name: str(path) for name, path in files.paths.items()},
    )


def enter(member: Member, group: GroupSpec, stack: ExitStack, *, served: bool = False) -> None:
    """Start `member`, to be closed with `stack`, and hold what it says of itself against the tree.

    With `served` it has a process of its own in any case.

    Raises:
        MemberError: it is declared unsound, missing, stale, or misbehaves.

    """
    plan = member.plan
    if plan.unsound:
        raise Skipped(f"not comparable: {plan.unsound}")
    member.client = open_client(plan, group.budget.request_seconds, served=served)
    stack.callback(member.close)
    member.hello = member.client.hello()
    start = plan.start
    attest.check_hello(
        member.hello,
        name=plan.name,
        sources=attest.source_digest(start.sources) if start.sources else "",
        lock=attest.file_digest(start.lock) if start.lock else "",
        build=start.build,
    )


def prepare(member: Member, group: GroupSpec, files: Files, *, for_quality: bool = False) -> None:
    """Have `member` load its job, and hold what it loaded against what was asked.

    Raises:
        MemberError: it loaded something else, or cannot.

    """
    assert member.client is not None
    assert member.hello is not None
    job = make_job(group, group.member(member.plan.name), files, for_quality=for_quality)
    reply = member.client.prepare(job)
    attest.check_prepared(reply, job, name=member.plan.name, hashes=files.hashes)
    member.attestation = attest.attestation(member.hello, reply)
    member.most_calls = reply.max_iterations


def launch(member: Member, group: GroupSpec, files: Files, spawner: Spawner) -> Client:
    """Return a fresh worker of `member` with its job prepared, the same in all it says as the one that was checked.

    Raises:
        MemberError: it is another, loaded something else, or cannot be had.

    """
    name, seconds = member.plan.name, group.budget.request_seconds
    client = Client(spawner.start(member.plan.start, name, seconds), name, seconds=seconds)
    try:
        _check_same(client.hello(), member)
        job = make_job(group, group.member(name), files)
        attest.check_prepared(client.prepare(job), job, name=name, hashes=files.hashes)
    except BaseException:
        client.close()
        raise
    return client


def _check_same(hello: HelloReply, member: Member) -> None:
    checked = member.hello
    if checked is None or (hello.source_digest, hello.versions) != (checked.source_digest, checked.versions):
        msg = f"{member.plan.name} changed while it was measured: it is no longer what was checked; measure again"
        raise Refused(msg)


def verify(member: Member) -> tuple[VerifyReply, Arrays]:
    """Run once; return the reply and the outputs.

    Raises:
        MemberError: the worker fails, or its outputs cannot be read.

    """
    assert member.client is not None
    with tempfile.TemporaryDirectory(prefix="duet-") as folder:
        reply = member.client.verify(Path(folder))
        return reply, read_outputs(reply.outputs, reply.digest, Path(folder), member.plan.name)


def call_ns(member: Member, first_ns: float) -> float:
    """Return how long one call takes once warm, in ns; `first_ns` is a first idea of it.

    Raises:
        MemberError: the worker fails.

    """
    assert member.client is not None
    # Enough calls a round for the clock to see them, enough rounds for one to be undisturbed.
    calls = max(1, min(member.most_calls or 1_000_000, round(_SHORTEST_LOOK_NS / first_ns)))
    rounds = max(1, min(_MOST_LOOKS, int(_PILOT_NS / (first_ns * calls))))
    return min(member.client.run(rounds, calls).elapsed_ns) / calls


def kept_outputs(client: Client, digest: str | None) -> Arrays:
    """Return the outputs of the round that `client` kept; `digest` is what it said of them when it ran.

    Raises:
        MemberError: the worker fails, or they cannot be read, or are others.

    """
    with tempfile.TemporaryDirectory(prefix="duet-") as folder:
        reply = client.outputs(Path(folder))
        if reply.digest != digest:
            raise ProtocolError(f"{client.name} hands over other outputs than those of the round it was to keep")
        return read_outputs(reply.outputs, reply.digest, Path(folder), client.name)


def read_outputs(paths: Mapping[str, str], digest: str, folder: Path, name: str) -> Arrays:
    """Return the arrays a worker wrote into `folder`, whose digest it says is `digest`.

    Raises:
        ProtocolError: a path lies elsewhere, holds no array, or they digest to something else.

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


def compare(member: Member, group: GroupSpec, reference: Arrays, outputs: Arrays) -> list[ParityRecord]:
    """Return how `outputs` of `member` compare with `reference`, by the rules of the member and the checks of the group."""
    checks = {**parity.CHECKS, **group.checks}
    return parity.compare_outputs(reference, outputs, member.plan.parity, dtype=group.dtype, checks=checks)


def check_parity(member: Member, group: GroupSpec, reference: Arrays) -> None:
    """Hold the outputs of `member` against the reference's.

    Raises:
        Refused: they are too far apart.

    """
    member.parity = compare(member, group, reference, member.outputs)
    why = parity.describe(member.parity)
    if why:
        raise Refused(f"parity with {group.reference} failed: {why}")


def check_effect(member: Member, group: GroupSpec, effect: Effect, files: Files) -> None:
    """Hold the outputs of `member` under another setting against its own: a parameter that changes nothing is not heeded.

    The job of `group` must be prepared again afterwards.

    Raises:
        Refused: every output stays within its tolerance.

    """
    if effect.param not in member.plan.params:
        return
    prepare(member, effect.group, files)
    _, outputs = verify(member)
    if not parity.describe(compare(member, group, member.outputs, outputs)):
        msg = f"{effect.param} has no effect: {effect.factor:g} times as large, it leaves every output within its tolerance"
        raise Refused(msg)


def check_quality(member: Member, group: GroupSpec, outputs: Arrays, files: Files) -> None:
    """Hold the quality of `outputs` against the spec's limits.

    Raises:
        Refused: it lies outside of them, or the output does not vary at all.
        Invalid: it is not a number.

    """
    if group.quality is None:
        return
    varying = [array for array in outputs.values() if array.size > 1 and array.dtype.kind == "f"]
    if varying and all(np.ptp(array) == 0 for array in varying):
        raise Refused("the output is constant; a model that says the same of everything is no model")
    values = qualities(group, outputs, files)
    limits = group.limits
    member.quality = [
        Bound(
            metric=metric,
            value=to_number(float(value)),
            floor=limits.floor.get(metric),
            ceiling=limits.ceiling.get(metric),
        )
        for metric, value in values.items()
    ]
    missing = (limits.floor.keys() | limits.ceiling.keys()) - values.keys()
    if missing:
        raise Refused(f"quality {', '.join(sorted(missing))} has a limit and was not computed")
    for bound in member.quality:
        _check_bound(bound)


def qualities(group: GroupSpec, outputs: Arrays, files: Files) -> Mapping[str, float]:
    """Return the quality metrics of `outputs`, none where the task folder has no quality.

    Raises:
        Invalid: they cannot be computed.

    """
    if group.quality is None:
        return {}
    try:
        return group.quality(group.algorithm, group.phase, outputs, files.arrays)
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise Invalid(f"quality cannot be computed from the outputs: {error}") from error


def _check_bound(bound: Bound) -> None:
    value = from_number(bound.value)
    if math.isnan(value):
        raise Invalid(f"quality {bound.metric} is not a number, which is worse than any floor")
    if bound.floor is not None and value < bound.floor:
        raise Refused(f"quality {bound.metric} {value:.4g} is below its floor of {bound.floor:g}")
    if bound.ceiling is not None and value > bound.ceiling:
        raise Refused(f"quality {bound.metric} {value:.4g} is above its ceiling of {bound.ceiling:g}")
