"""The messages between a driver and its workers: one JSON object a line, one reply to each request.

``workers.codec`` turns messages into lines. The Rust twin is ``rust_crates/duet-worker/src/protocol.rs``. The vectors in
``rust_crates/duet-worker/testdata/`` test both.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from pytest_duet.values import Int64, Number, Scalar

VERSION: Final = 1
"""Incremented whenever a message changes its fields. A worker of another version is unavailable."""

LINE_LIMIT_BYTES: Final = 64 * 1024
"""The longest line that either side accepts."""

SESSION_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The most that one worker may write to its protocol channel before it ends."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Index = Annotated[int, msgspec.Meta(ge=0)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    """What every request and reply has: an id. A request's is at least 1, and its reply repeats it."""

    id: Index


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a worker has to prepare.

    `data` maps the names of the data set's files to their paths. `dtype` is ``f32`` or ``f64``. `device` is ``cpu`` or
    ``cuda:N``.
    """

    task: str
    algorithm: str
    phase: str
    workload: str
    variant: str
    params: dict[str, Scalar]
    seed: int
    threads: int
    device: str
    dtype: str
    data: dict[str, str]


class Hello(Message, frozen=True, tag="hello"):
    """Ask the worker to identify itself. `protocol` is the driver's version."""

    protocol: int = VERSION


class Describe(Message, frozen=True, tag="describe"):
    """Ask which implementations the worker has."""


class Prepare(Message, frozen=True, tag="prepare"):
    """Prepare a job. All work that does not belong in a timed round is done here."""

    job: Job


class Verify(Message, frozen=True, tag="verify"):
    """Run the prepared job once and write its outputs into the folder `into`."""

    into: str


class Run(Message, frozen=True, tag="run"):
    """Time `rounds` rounds of `iterations` calls each; keep the output of the last call of round `keep` (0-based).

    The output is kept until a later `run` request keeps another one or a job is prepared.
    """

    rounds: Count
    iterations: Count
    keep: Index | None


class Outputs(Message, frozen=True, tag="outputs"):
    """Write the kept output into the folder `into`."""

    into: str


class Quit(Message, frozen=True, tag="quit"):
    """Reply, then exit."""


Request = Hello | Describe | Prepare | Verify | Run | Outputs | Quit


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """CPU features: those `detected` on the machine and those `compiled` into the binary."""

    detected: list[str]
    compiled: list[str]


class HelloReply(Message, frozen=True, tag="hello"):
    """What was built, from which sources, and how.

    `profile` is ``release``, ``debug`` or ``interpreted``. `source_digest` and `lock_digest` are SHA-256 in hex, or empty
    if there are no sources or lock file to hash.
    """

    protocol: int
    framework: str
    versions: dict[str, str]
    source_digest: str
    lock_digest: str
    compiler: str
    profile: str
    features: Features
    blas: list[str]
    details: dict[str, str]


class Capability(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """One implementation that a worker has."""

    task: str
    algorithm: str
    phase: str


class DescribeReply(Message, frozen=True, tag="describe"):
    """All implementations that a worker has."""

    implementations: list[Capability]


class PrepareReply(Message, frozen=True, tag="prepare"):
    """What was actually prepared.

    `params` holds only the parameters that the implementation read, with the values it read. `threads` is the number in
    effect, which may differ from the job's. `data` maps each file that was read to the SHA-256 of its bytes.
    `max_iterations` is the most calls that one round may have.
    """

    params: dict[str, Scalar]
    threads: int
    device: str
    dtype: str
    data: dict[str, str]
    max_iterations: int | None


class VerifyReply(Message, frozen=True, tag="verify"):
    """The outputs' paths by name, their digest, how the call converged, and how long this first call took."""

    outputs: dict[str, str]
    digest: str
    iterations: Int64 | None
    converged: bool | None
    loss: list[Number]
    elapsed_ns: Int64


class RunReply(Message, frozen=True, tag="run"):
    """Nanoseconds of each round, digest of the kept output, named spans (ns of each round) and the work of one call."""

    elapsed_ns: list[Int64]
    digest: str | None
    spans: dict[str, list[Int64]]
    work: dict[str, Int64]


class OutputsReply(Message, frozen=True, tag="outputs"):
    """The kept outputs' paths by name, and their digest."""

    outputs: dict[str, str]
    digest: str


class QuitReply(Message, frozen=True, tag="quit"):
    """The last line a worker writes."""


class ErrorReply(Message, frozen=True, tag="error"):
    """A request failed; the worker goes on.

    `kind` is ``unsupported`` (not implemented by this worker), ``invalid`` (the job or request is wrong), ``failed`` (the
    framework reported an error) or ``panic`` (the implementation crashed, and the worker caught it). `id` is 0 if the
    request's own could not be read.
    """

    kind: Literal["unsupported", "invalid", "failed", "panic"]
    message: str


Reply = HelloReply | DescribeReply | PrepareReply | VerifyReply | RunReply | OutputsReply | QuitReply | ErrorReply
