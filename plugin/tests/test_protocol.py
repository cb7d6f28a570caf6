"""The messages agree with the vectors, which test the Rust twin too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import ProtocolError
from pytest_duet.protocol import Reply, Request
from pytest_duet.workers.codec import decode_reply, decode_request, encode

if TYPE_CHECKING:
    from pathlib import Path


def _lines(path: Path) -> list[bytes]:
    found = path.read_bytes().splitlines()
    assert found
    return found


def test_every_request_vector_survives_decoding_and_encoding(vectors: Path) -> None:
    lines = _lines(vectors / "requests.jsonl")
    assert [json.loads(line) for line in lines] == [json.loads(encode(decode_request(line))) for line in lines]


def test_every_reply_vector_survives_decoding_and_encoding(vectors: Path) -> None:
    lines = _lines(vectors / "replies.jsonl")
    assert [json.loads(line) for line in lines] == [json.loads(encode(decode_reply(line))) for line in lines]


def test_the_vectors_have_every_kind_of_message(vectors: Path) -> None:
    requests = {type(decode_request(line)) for line in _lines(vectors / "requests.jsonl")}
    replies = {type(decode_reply(line)) for line in _lines(vectors / "replies.jsonl")}
    assert set(Request.__args__) == requests
    assert set(Reply.__args__) == replies


def test_every_refused_vector_is_refused(vectors: Path) -> None:
    for case in map(json.loads, _lines(vectors / "refused_requests.jsonl")):
        with pytest.raises(ProtocolError):
            pytest.fail(f"{case['why']}: {decode_request(case['line'].encode())}")
