"""The messages, held to the vectors that Rust is held to as well."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet import protocol
from pytest_duet.errors import ProtocolError, Unavailable
from pytest_duet.protocol import (
    LINE_LIMIT_BYTES,
    ErrorReply,
    NonFinite,
    Prepare,
    Quit,
    Reply,
    Request,
    Run,
    Verify,
    VerifyReply,
    clean,
    decode_reply,
    decode_request,
    digest_outputs,
    encode,
    excerpt,
    from_number,
    to_number,
)

from .fakes import messages

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
WHOLE = st.integers(-(2**63), 2**63 - 1)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.one_of(st.booleans(), WHOLE, FINITE, TEXT, st.builds(NonFinite, st.sampled_from(["nan", "inf", "-inf"])))
IDS = st.integers(0, 2**53)
REQUESTS = st.one_of(
    *(st.builds(kind, id=IDS) for kind in (protocol.Hello, protocol.Describe, Quit)),
    *(st.builds(kind, id=IDS, into=TEXT) for kind in (Verify, protocol.Outputs)),
)


def _lines(path: Path) -> list[bytes]:
    found = path.read_bytes().splitlines()
    assert found
    return found


# --- vectors ----------------------------------------------------------------------------------------------------------


def test_every_request_vector_survives_decoding_and_encoding(vectors: Path) -> None:
    lines = _lines(vectors / "requests.jsonl")
    assert [json.loads(line) for line in lines] == [json.loads(encode(decode_request(line))) for line in lines]


def test_every_reply_vector_survives_decoding_and_encoding(vectors: Path) -> None:
    lines = _lines(vectors / "replies.jsonl")
    assert [json.loads(line) for line in lines] == [json.loads(encode(decode_reply(line))) for line in lines]


def test_the_vectors_hold_every_kind_of_message(vectors: Path) -> None:
    requests = {type(decode_request(line)) for line in _lines(vectors / "requests.jsonl")}
    replies = {type(decode_reply(line)) for line in _lines(vectors / "replies.jsonl")}
    assert set(Request.__args__) == requests
    assert set(Reply.__args__) == replies


def test_every_refused_vector_is_refused(vectors: Path) -> None:
    for case in map(json.loads, _lines(vectors / "refused_requests.jsonl")):
        with pytest.raises(ProtocolError):
            pytest.fail(f"{case['why']}: {decode_request(case['line'].encode())}")


def test_the_digest_of_outputs_is_the_one_rust_computes(vectors: Path) -> None:
    case = json.loads((vectors / "output_digest.json").read_bytes())
    arrays = {
        each["name"]: np.frombuffer(bytes.fromhex(each["bytes_hex"]), dtype=each["dtype"]).reshape(each["shape"])
        for each in case["arrays"]
    }
    assert case["sha256"] == digest_outputs(arrays)


# --- digests ----------------------------------------------------------------------------------------------------------


def test_the_order_of_outputs_in_memory_does_not_change_their_digest() -> None:
    array = np.arange(6.0).reshape(2, 3)
    plain = digest_outputs({"a": array, "b": array})
    assert plain == digest_outputs({"b": np.asfortranarray(array), "a": array})


@pytest.mark.parametrize(
    "other",
    [
        {"b": np.zeros(2)},
        {"a": np.zeros((2, 1))},
        {"a": np.zeros(2, dtype=np.int64)},
        {"a": -np.zeros(2)},
        {"a": np.zeros(2), "b": np.zeros(0)},
        {},
    ],
    ids=["name", "shape", "dtype", "sign of zero", "one more", "none"],
)
def test_another_name_shape_dtype_or_bit_gives_another_digest(other: dict[str, np.ndarray]) -> None:
    assert digest_outputs({"a": np.zeros(2)}) != digest_outputs(other)


# --- round trips ------------------------------------------------------------------------------------------------------


@given(
    st.builds(
        messages.job,
        task=TEXT,
        variant=TEXT,
        params=st.dictionaries(TEXT, SCALARS, max_size=4),
        seed=WHOLE,
        threads=st.integers(1, 64),
        data=st.dictionaries(TEXT, TEXT, max_size=3),
    ),
    st.integers(0, 2**53),
)
def test_any_job_comes_out_as_it_went_in(job: protocol.Job, number: int) -> None:
    request = Prepare(id=number, job=job)
    assert request == decode_request(encode(request))


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.none() | st.integers(0, 10**6))
def test_any_run_comes_out_as_it_went_in(rounds: int, iterations: int, keep: int | None) -> None:
    request = Run(id=1, rounds=rounds, iterations=iterations, keep=keep)
    assert request == decode_request(encode(request))


@given(st.lists(st.floats(), max_size=5))
def test_any_loss_curve_comes_out_as_it_went_in(loss: list[float]) -> None:
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


@pytest.mark.parametrize(("value", "word"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_a_number_json_cannot_hold_travels_as_a_word(value: float, word: str) -> None:
    assert NonFinite(word) == to_number(value)
    assert repr(value) == repr(from_number(NonFinite(word)))


@pytest.mark.parametrize("change", [{"loss": [10**400]}, {"elapsed_ns": 2**63}, {"iterations": -(2**63) - 1}])
def test_an_integer_of_more_than_64_bits_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        decode_reply(encode(messages.verified(**change)))


def test_a_bare_non_finite_number_is_never_written_as_null() -> None:
    request = Prepare(id=1, job=messages.job(params={"alpha": math.inf}))
    try:
        line = encode(request)
    except ProtocolError:
        return
    assert b"null" not in line


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_message_is_one_line() -> None:
    assert b'{"op":"verify","into":"a\\nb","id":1}\n' == encode(Verify(id=1, into="a\nb"))


def test_a_line_may_be_as_long_as_the_limit_and_no_longer() -> None:
    empty = len(encode(ErrorReply(id=1, kind="failed", message="")))
    longest = ErrorReply(id=1, kind="failed", message="x" * (LINE_LIMIT_BYTES - empty))
    assert LINE_LIMIT_BYTES == len(encode(longest))
    with pytest.raises(ProtocolError, match=f"ErrorReply message of {LINE_LIMIT_BYTES + 1} bytes is over the limit"):
        encode(ErrorReply(id=1, kind="failed", message=longest.message + "x"))


def test_a_line_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="is over the limit"):
        decode_request(b'{"op":"quit","id":1}' + b" " * LINE_LIMIT_BYTES)


@pytest.mark.parametrize("line", [b'{"op":"quit","id":1}', b'{"op":"quit","id":1}\n'])
def test_the_newline_may_be_there_or_not(line: bytes) -> None:
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
def test_a_line_that_is_no_request_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError, match="not a message"):
        decode_request(line)


def test_a_request_is_no_reply() -> None:
    with pytest.raises(ProtocolError):
        decode_reply(encode(Verify(id=1, into="x")))


def test_an_error_reply_of_another_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="oops"):
        decode_reply(b'{"op":"error","kind":"oops","message":"","id":1}')


def test_the_greeting_of_another_version_is_told_from_nonsense() -> None:
    with pytest.raises(Unavailable, match="speaks protocol 7, this pytest-duet speaks 1"):
        decode_reply(b'{"op":"hello","protocol":7,"id":1,"from":"the future"}')


def test_a_broken_greeting_of_our_version_is_nonsense() -> None:
    with pytest.raises(ProtocolError):
        decode_reply(b'{"op":"hello","protocol":1,"id":1}')


def test_an_excerpt_shows_text_and_hex_and_says_where_it_was_cut() -> None:
    assert r"'ab..' (hex 61 62 1b ff)" == excerpt(b"ab\x1b\xff")
    assert "'abc' (hex 61 62 63 ...)" == excerpt(b"abcd", 3)


@given(st.binary(max_size=60))
def test_an_excerpt_holds_nothing_a_terminal_would_act_on(line: bytes) -> None:
    assert all(32 <= ord(letter) < 127 for letter in excerpt(line))


@given(REQUESTS)
def test_requests_without_a_job_come_out_as_they_went_in(request_: Any) -> None:
    assert request_ == decode_request(encode(request_))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain\n\ttext é", "plain\n\ttext é"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("\x9b\x7f\u202e\u2028", "????"),
        ("", ""),
    ],
)
def test_text_of_a_worker_holds_nothing_a_terminal_would_act_on(text: str, expected: str) -> None:
    assert expected == clean(text)
