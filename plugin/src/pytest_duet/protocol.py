"""The messages a driver and a worker exchange: one JSON object a line, one reply for each request.

Not for carrying them: ``workers`` moves the lines. The Rust twin is ``rust_crates/duet-worker/src/protocol.rs``; both are
held to the vectors in ``rust_crates/duet-worker/testdata/``.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import msgspec

from pytest_duet.errors import ProtocolError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

VERSION: Final = 1
"""Raised whenever a message changes its shape; a worker that speaks another version is unavailable."""

LINE_LIMIT_BYTES: Final = 64 * 1024
"""The longest line either side accepts."""

SESSION_LIMIT_BYTES: Final = 16 * 1024 * 1024
"""The most a worker may write to its protocol channel in its life."""


class NonFinite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A number JSON cannot hold, said in words: ``{"nonfinite": "nan"}``."""

    nonfinite: Literal["nan", "inf", "-inf"]


Count = Annotated[int, msgspec.Meta(ge=1)]
Index = Annotated[int, msgspec.Meta(ge=0)]
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""An integer of 64 bits: no larger one is meant, and some are beyond every float."""

Number = Whole | float | NonFinite
Scalar = bool | int | float | str | NonFinite


def to_number(value: float) -> Number:
    """Return `value` in the form the wire carries: itself when finite, else its name."""
    if math.isfinite(value):
        return value
    return NonFinite("nan" if math.isnan(value) else "inf" if value > 0 else "-inf")


def from_number(value: Number) -> float:
    """Return the float that a wire number stands for."""
    return float(value.nonfinite) if isinstance(value, NonFinite) else float(value)


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    """What every request and reply carries: the request's id, at least 1, which the reply repeats."""

    id: Index


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a worker is told to prepare.

    `data` maps the names of the data set's files to their paths; `dtype` is ``f32`` or ``f64``; `device` is ``cpu`` or
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


# --- requests ---------------------------------------------------------------------------------------------------------


class Hello(Message, frozen=True, tag="hello"):
    """Ask who is there. `protocol` is the version the driver speaks."""

    protocol: int = VERSION


class Describe(Message, frozen=True, tag="describe"):
    """Ask what the worker implements."""


class Prepare(Message, frozen=True, tag="prepare"):
    """Load a job: everything a round must not pay for happens here."""

    job: Job


class Verify(Message, frozen=True, tag="verify"):
    """Run the prepared job once and write its outputs into the folder `into`."""

    into: str


class Run(Message, frozen=True, tag="run"):
    """Time `rounds` rounds of `iterations` calls each; keep the output of the last call of round `keep` (0-based).

    What was kept stays until a later request keeps another, or a job is prepared.
    """

    rounds: Count
    iterations: Count
    keep: Index | None


class Outputs(Message, frozen=True, tag="outputs"):
    """Write the kept output into the folder `into`."""

    into: str


class Quit(Message, frozen=True, tag="quit"):
    """Answer and leave."""


Request = Hello | Describe | Prepare | Verify | Run | Outputs | Quit


# --- replies ----------------------------------------------------------------------------------------------------------


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Processor features: those the machine has and those the binary was compiled to require."""

    detected: list[str]
    compiled: list[str]


class HelloReply(Message, frozen=True, tag="hello"):
    """Who is there: what was built, from what, how.

    `profile` is ``release``, ``debug`` or ``interpreted``; `source_digest` and `lock_digest` are SHA-256 in hex, empty
    where there is nothing to digest.
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
    """One thing a worker can do."""

    task: str
    algorithm: str
    phase: str


class DescribeReply(Message, frozen=True, tag="describe"):
    """All a worker can do."""

    implementations: list[Capability]


class PrepareReply(Message, frozen=True, tag="prepare"):
    """What was really prepared.

    `params` holds only the parameters the implementation has read, as it read them; `threads` is what is in effect, not
    what was asked; `data` maps each file that was read to the SHA-256 of the bytes seen; `max_iterations` bounds the
    calls of one round.
    """

    params: dict[str, Scalar]
    threads: int
    device: str
    dtype: str
    data: dict[str, str]
    max_iterations: int | None


class VerifyReply(Message, frozen=True, tag="verify"):
    """Where the outputs lie (name to path), their digest, how the call converged and how long this first call took."""

    outputs: dict[str, str]
    digest: str
    iterations: Whole | None
    converged: bool | None
    loss: list[Number]
    elapsed_ns: Whole


class RunReply(Message, frozen=True, tag="run"):
    """Nanoseconds of each round, the digest of the kept output, named spans (ns a round) and the work one call does."""

    elapsed_ns: list[Whole]
    digest: str | None
    spans: dict[str, list[Whole]]
    work: dict[str, Whole]


class OutputsReply(Message, frozen=True, tag="outputs"):
    """Where the kept outputs lie, and their digest."""

    outputs: dict[str, str]
    digest: str


class QuitReply(Message, frozen=True, tag="quit"):
    """The worker leaves after this line."""


class ErrorReply(Message, frozen=True, tag="error"):
    """A request that could not be done; the worker stays.

    `kind`: ``unsupported`` (not implemented here), ``invalid`` (the job or request makes no sense), ``failed`` (the
    framework reported an error), ``panic`` (it crashed and was caught). `id` is 0 where the request's own is unknown.
    """

    kind: Literal["unsupported", "invalid", "failed", "panic"]
    message: str


Reply = HelloReply | DescribeReply | PrepareReply | VerifyReply | RunReply | OutputsReply | QuitReply | ErrorReply

_encoder = msgspec.json.Encoder()
_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)

_M = TypeVar("_M")


def encode(message: Request | Reply) -> bytes:
    """Return `message` as one line, newline included.

    Raises:
        ProtocolError: the line would be longer than `LINE_LIMIT_BYTES`.

    """
    if isinstance(message, Prepare):
        bad = [
            name for name, value in message.job.params.items() if isinstance(value, float) and not math.isfinite(value)
        ]
        if bad:
            raise ProtocolError(f"parameter {bad[0]!r} is not finite; JSON would lose it, `to_number` says it in words")
    line = _encoder.encode(message) + b"\n"
    if len(line) > LINE_LIMIT_BYTES:
        msg = f"a {type(message).__name__} message of {len(line)} bytes is over the limit of {LINE_LIMIT_BYTES}"
        raise ProtocolError(msg)
    return line


def decode_request(line: bytes) -> Request:
    """Return the request in `line` (bytes, with or without the newline).

    Raises:
        ProtocolError: the line is no request.

    """
    return _decode(_request_decoder, line)


def decode_reply(line: bytes) -> Reply:
    """Return the reply in `line` (bytes, with or without the newline).

    Raises:
        ProtocolError: the line is no reply.
        Unavailable: it is the greeting of another protocol version.

    """
    try:
        return _decode(_reply_decoder, line)
    except ProtocolError:
        _refuse_other_version(line)
        raise


class _AnyHello(msgspec.Struct, tag_field="op", tag="hello"):
    """The one field of a `hello` reply that every version has."""

    protocol: int


def _refuse_other_version(line: bytes) -> None:
    """Tell a worker of another protocol version, whose messages may have other shapes, from one that talks nonsense."""
    try:
        seen = msgspec.json.decode(line, type=_AnyHello).protocol
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if seen != VERSION:
        raise Unavailable(
            f"the worker speaks protocol {seen}, this pytest-duet speaks {VERSION}; build both from one version"
        )


def _decode(decoder: msgspec.json.Decoder[_M], line: bytes) -> _M:
    body = line.removesuffix(b"\n")
    if len(body) > LINE_LIMIT_BYTES:
        raise ProtocolError(f"a line of {len(body)} bytes is over the limit of {LINE_LIMIT_BYTES}: {excerpt(line)}")
    # JSON allows white space, so CRLF would slip through; a worker that writes it is in text mode and not to be trusted.
    if body.endswith(b"\r") or not body.startswith(b"{"):
        raise ProtocolError(f"not a message: {excerpt(line)}")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a message ({error}): {excerpt(line)}") from error


def clean(text: str) -> str:
    """Return what a worker said with everything that would act on a terminal replaced by ``?``; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def excerpt(line: bytes, limit: int = 48) -> str:
    """Return the start of `line` as text and in hex, fit for an error message."""
    head = line[:limit]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in head)  # noqa: PLR2004 - printable ASCII
    return f"{text!r} (hex {head.hex(' ')}{' ...' if len(line) > limit else ''})"


def digest_outputs(outputs: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays in hex.

    In order of names: the name, NUL, numpy's type string (``<f8``), NUL, the shape as decimals joined by commas, NUL, the
    elements' little-endian bytes in C order.
    """
    digest = hashlib.sha256()
    for name in sorted(outputs):
        array = outputs[name]
        shape = ",".join(str(length) for length in array.shape)
        digest.update(f"{name}\0{array.dtype.str}\0{shape}\0".encode())
        digest.update(array.tobytes(order="C"))
    return digest.hexdigest()
