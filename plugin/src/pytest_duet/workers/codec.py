"""Turn protocol messages into lines and back, and make a worker's text safe to print."""

from __future__ import annotations

import contextlib
import math
from typing import TypeVar

import msgspec

from pytest_duet.errors import ProtocolError, Unavailable
from pytest_duet.protocol import LINE_LIMIT_BYTES, VERSION, Prepare, Reply, Request

_DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_request_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
_reply_decoder: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)

_M = TypeVar("_M")


def encode(message: Request | Reply) -> bytes:
    """Return `message` as one line, newline included.

    Raises:
        ProtocolError: the line would be longer than `LINE_LIMIT_BYTES`, or a job has a non-finite parameter.
    """
    if isinstance(message, Prepare):
        for name, value in message.job.params.items():
            if isinstance(value, float) and not math.isfinite(value):
                msg = f"parameter {name!r} is {value}, which JSON cannot hold; convert it with `to_number`"
                raise ProtocolError(msg)
    line = msgspec.json.encode(message) + b"\n"
    if len(line) > LINE_LIMIT_BYTES:
        msg = f"a {type(message).__name__} message of {len(line)} bytes is over the limit of {LINE_LIMIT_BYTES}"
        raise ProtocolError(msg)
    return line


def decode_request(line: bytes) -> Request:
    """Return the request in `line`, with or without its newline.

    Raises:
        ProtocolError: the line is not a request.
    """
    return _decode(_request_decoder, line)


def decode_reply(line: bytes) -> Reply:
    """Return the reply in `line`, with or without its newline.

    Raises:
        ProtocolError: the line is not a reply.
        Unavailable: the line is a `hello` reply of another protocol version.
    """
    try:
        return _decode(_reply_decoder, line)
    except ProtocolError:
        # The messages of another version may have other fields.
        with contextlib.suppress(*_DECODE_ERRORS):
            seen = msgspec.json.decode(line, type=_AnyHello).protocol
            if seen != VERSION:
                both = f"the worker speaks protocol {seen}, this pytest-duet speaks {VERSION}"
                raise Unavailable(f"{both}; build both from one version") from None
        raise


class _AnyHello(msgspec.Struct, tag_field="op", tag="hello"):
    """The one field of a `hello` reply that every version has."""

    protocol: int


def _decode(decoder: msgspec.json.Decoder[_M], line: bytes) -> _M:
    body = line.removesuffix(b"\n")
    if len(body) > LINE_LIMIT_BYTES:
        raise ProtocolError(f"a line of {len(body)} bytes is over the limit of {LINE_LIMIT_BYTES}: {excerpt(line)}")
    # JSON allows white space, so the decoder would accept CRLF. A worker that writes CRLF has stdout in text mode, which
    # may change other bytes too.
    if body.endswith(b"\r") or not body.startswith(b"{"):
        raise ProtocolError(f"not a message: {excerpt(line)}")
    try:
        return decoder.decode(body)
    except _DECODE_ERRORS as error:
        raise ProtocolError(f"not a message ({error}): {excerpt(line)}") from error


def clean(text: str) -> str:
    """Return `text` with every character that a terminal could act on replaced by ``?``; newlines and tabs stay."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)


def excerpt(line: bytes, limit: int = 48) -> str:
    """Return the first `limit` bytes of `line` as text and in hex, for an error message."""
    head = line[:limit]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in head)  # noqa: PLR2004 - printable ASCII
    return f"{text!r} (hex {head.hex(' ')}{' ...' if len(line) > limit else ''})"
