"""Messages survive encoding and decoding, and lines that are not messages are refused."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet import protocol
from pytest_duet.errors import ProtocolError, Unavailable
from pytest_duet.protocol import LINE_LIMIT_BYTES, ErrorReply, Prepare, Quit, Run, Verify, VerifyReply
from pytest_duet.values import NonFinite, from_number, to_number
from pytest_duet.workers.codec import clean, decode_reply, decode_request, encode, excerpt

from .fakes import messages

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(
    st.booleans(), INTEGERS, FINITE, TEXT, st.builds(NonFinite, st.sampled_from(["nan", "inf", "-inf"]))
)
IDS = st.integers(0, 2**53)
REQUESTS = st.one_of(
    *(st.builds(kind, id=IDS) for kind in (protocol.Hello, protocol.Describe, Quit)),
    *(st.builds(kind, id=IDS, into=TEXT) for kind in (Verify, protocol.Outputs)),
)

# --- round trips ------------------------------------------------------------------------------------------------------


@given(
    st.builds(
        messages.job,
        task=TEXT,
        variant=TEXT,
        params=st.dictionaries(TEXT, SCALARS, max_size=4),
        seed=INTEGERS,
        threads=st.integers(1, 64),
        data=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    st.integers(0, 2**53),
)
def test_any_job_survives_encoding_and_decoding(job: protocol.Job, number: int) -> None:
    request = Prepare(id=number, job=job)
    assert request == decode_request(encode(request))


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.none() | st.integers(0, 10**6))
def test_any_run_survives_encoding_and_decoding(rounds: int, iterations: int, keep: int | None) -> None:
    request = Run(id=1, rounds=rounds, iterations=iterations, keep=keep)
    assert request == decode_request(encode(request))


@given(REQUESTS)
def test_any_request_without_a_job_survives_encoding_and_decoding(request_: Any) -> None:
    assert request_ == decode_request(encode(request_))


@given(st.lists(st.floats(), max_size=5))
def test_any_loss_curve_survives_encoding_and_decoding(loss: list[float]) -> None:
    reply = messages.verified(loss=[to_number(value) for value in loss])
    back = decode_reply(encode(reply))
    assert isinstance(back, VerifyReply)
    assert list(map(repr, loss)) == [repr(from_number(value)) for value in back.loss]


@given(st.binary(max_size=40))
def test_any_bytes_are_a_message_or_a_protocol_error(line: bytes) -> None:
    for decode in (decode_request, decode_reply):
        with suppress(ProtocolError, Unavailable):
            decode(line)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"loss": [10**400]}, {"elapsed_ns": 2**63}, {"iterations": -(2**63) - 1}])
def test_an_integer_of_more_than_64_bits_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        decode_reply(encode(messages.verified(**change)))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_bare_non_finite_parameter_is_refused(value: float) -> None:
    expected = f"parameter 'alpha' is {value}, which JSON cannot hold; convert it with `to_number`"
    with pytest.raises(ProtocolError, match=expected):
        encode(Prepare(id=1, job=messages.job(params={"alpha": value})))


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_message_is_one_line() -> None:
    assert b'{"op":"verify","into":"a\\nb","id":1}\n' == encode(Verify(id=1, into="a\nb"))


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    empty = len(encode(ErrorReply(id=1, kind="failed", message="")))
    longest = ErrorReply(id=1, kind="failed", message="x" * (LINE_LIMIT_BYTES - empty))
    assert LINE_LIMIT_BYTES == len(encode(longest))
    with pytest.raises(ProtocolError, match=f"ErrorReply message of {LINE_LIMIT_BYTES + 1} bytes is over the limit"):
        encode(ErrorReply(id=1, kind="failed", message=longest.message + "x"))


def test_a_line_over_the_limit_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(ProtocolError, match="is over the limit"):
        decode_request(b'{"op":"quit","id":1}' + b" " * LINE_LIMIT_BYTES)


@pytest.mark.parametrize("line", [b'{"op":"quit","id":1}', b'{"op":"quit","id":1}\n'])
def test_the_newline_is_optional(line: bytes) -> None:
    assert Quit(id=1) == decode_request(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"op":"verify","id":1,"into":"\xff"}',
        b'{"op":"quit","id":1}\r\n',
        b'\xef\xbb\xbf{"op":"quit","id":1}',
        b'{"op":"quit","id":1}\x00',
        b'{"op":"quit","id":-1}',
        b'{"op":"run","id":1,"rounds":0,"iterations":1,"keep":null}',
        b'{"op":"run","id":1,"rounds":1,"iterations":1,"keep":-1}',
        b'{"op":"run","id":1,"rounds":1,"iterations":1}',
        b'{"op":"prepare","id":1,"job":' + b'{"task":' * 5000,
        b"\n",
    ],
    ids=["no UTF-8", "CRLF", "BOM", "NUL", "negative id", "no rounds", "keep below 0", "keep missing", "deep", "empty"],
)
def test_a_line_that_is_not_a_request_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        decode_request(line)


def test_a_request_is_not_a_reply() -> None:
    with pytest.raises(ProtocolError):
        decode_reply(encode(Verify(id=1, into="x")))


def test_an_error_reply_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="oops"):
        decode_reply(b'{"op":"error","kind":"oops","message":"","id":1}')


def test_a_hello_of_another_version_makes_the_worker_unavailable() -> None:
    with pytest.raises(Unavailable, match="speaks protocol 7, this pytest-duet speaks 1"):
        decode_reply(b'{"op":"hello","protocol":7,"id":1,"from":"the future"}')


def test_a_malformed_hello_of_this_version_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        decode_reply(b'{"op":"hello","protocol":1,"id":1}')


# --- text -------------------------------------------------------------------------------------------------------------


def test_an_excerpt_shows_text_and_hex_and_marks_where_it_was_cut() -> None:
    assert r"'ab..' (hex 61 62 1b ff)" == excerpt(b"ab\x1b\xff")
    assert "'abc' (hex 61 62 63 ...)" == excerpt(b"abcd", 3)


@given(st.binary(max_size=60))
def test_an_excerpt_has_no_character_that_a_terminal_acts_on(line: bytes) -> None:
    assert all(32 <= ord(letter) < 127 for letter in excerpt(line))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\n\ttext é", "plain\n\ttext é"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("\x9b\x7f\u202e\u2028", "????"),
        ("", ""),
    ],
)
def test_clean_text_has_no_character_that_a_terminal_acts_on(text: str, expected: str) -> None:
    assert expected == clean(text)
