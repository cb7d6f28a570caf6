"""The client accepts a reply only if it fits the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.errors import Crashed, ImplementationError, Invalid, ProtocolError, Unavailable
from pytest_duet.protocol import DescribeReply, ErrorReply, Outputs, Prepare, QuitReply, Reply, Run, Verify
from pytest_duet.workers.client import Client

from .fakes import messages
from .fakes.clients import ScriptedChannel

if TYPE_CHECKING:
    from pathlib import Path


def _client(*replies: Reply, seconds: float = 9.0) -> tuple[Client, ScriptedChannel]:
    channel = ScriptedChannel(*replies)
    return Client(channel, "tch", seconds=seconds), channel


def test_ids_count_up_from_one_and_replies_are_returned_unchanged(tmp_path: Path) -> None:
    replies = [
        messages.hello(1),
        DescribeReply(id=2, implementations=[messages.CAPABILITY]),
        messages.prepared(3),
        messages.verified(4),
        messages.timed(5),
        messages.kept(6),
    ]
    client, channel = _client(*replies)
    got = [
        client.hello(),
        client.describe(),
        client.prepare(messages.job()),
        client.verify(tmp_path),
        client.run(1, 1),
        client.outputs(tmp_path),
    ]
    assert [replies[0], [messages.CAPABILITY], *replies[2:]] == got
    assert [1, 2, 3, 4, 5, 6] == [request.id for request in channel.requests]
    assert [
        Prepare(id=3, job=messages.job()),
        Verify(id=4, into=str(tmp_path)),
        Run(id=5, rounds=1, iterations=1, keep=None),
        Outputs(id=6, into=str(tmp_path)),
    ] == channel.requests[2:]


def test_every_request_has_a_deadline() -> None:
    client, channel = _client(messages.timed(1), messages.timed(2))
    client.run(1, 1)
    client.run(1, 1)
    assert [9.0, 9.0] == channel.seconds


def test_a_client_that_is_renamed_renames_its_channel() -> None:
    client, channel = _client()
    client.rename("tch.compiled")
    assert ("tch.compiled", "tch.compiled") == (client.name, channel.name)


def test_a_run_calls_tick_while_waiting() -> None:
    client, _ = _client(messages.timed(1))
    ticks: list[int] = []
    client.run(1, 1, tick=lambda: ticks.append(1))
    assert [1] == ticks


def test_closing_the_client_closes_the_channel() -> None:
    client, channel = _client()
    assert channel.pid == client.pid
    client.close()
    assert channel.closed


# --- replies that do not fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2, 7])
def test_the_reply_to_another_request_is_refused(number: int) -> None:
    client, _ = _client(messages.hello(number))
    with pytest.raises(ProtocolError, match=f"tch answered request {number} when 1 was asked"):
        client.hello()


def test_a_reply_of_another_kind_is_refused() -> None:
    client, _ = _client(QuitReply(id=1))
    with pytest.raises(ProtocolError, match="tch answered Hello with QuitReply"):
        client.hello()


@pytest.mark.parametrize("elapsed", [[], [5], [5, 5, 5]])
def test_another_number_of_rounds_than_requested_is_refused(elapsed: list[int]) -> None:
    client, _ = _client(messages.timed(1, elapsed_ns=elapsed))
    with pytest.raises(ProtocolError, match=f"tch sent {len(elapsed)} rounds, 2 were asked"):
        client.run(2, 1)


@pytest.mark.parametrize(("keep", "digest"), [(None, "ab"), (0, None)])
def test_a_reply_has_a_digest_exactly_if_a_round_was_kept(keep: int | None, digest: str | None) -> None:
    client, _ = _client(messages.timed(1, digest=digest))
    with pytest.raises(ProtocolError, match=f"tch was asked to keep round {keep} and sent digest {digest!r}"):
        client.run(1, 1, keep)


@pytest.mark.parametrize("ns", [0, -1])
def test_a_duration_that_is_not_positive_is_invalid(ns: int, tmp_path: Path) -> None:
    client, _ = _client(messages.timed(1, elapsed_ns=[5, ns, 5]), messages.verified(2, elapsed_ns=ns))
    with pytest.raises(Invalid, match=f"tch reports a round of {ns} ns"):
        client.run(3, 1)
    with pytest.raises(Invalid, match=f"tch reports {ns} ns for a call"):
        client.verify(tmp_path)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected", "status"),
    [
        ("unsupported", Unavailable, "unavailable"),
        ("invalid", ImplementationError, "failed"),
        ("failed", ImplementationError, "failed"),
        ("panic", Crashed, "crashed"),
    ],
)
@pytest.mark.parametrize("number", [0, 1])
def test_an_error_reply_raises_the_error_of_its_kind(kind: Any, expected: Any, status: str, number: int) -> None:
    client, _ = _client(ErrorReply(id=number, kind=kind, message="why"))
    with pytest.raises(expected, match=r"^tch: why$") as caught:
        client.hello()
    assert (expected, status) == (type(caught.value), caught.value.status)


def test_an_error_about_another_request_is_refused() -> None:
    client, _ = _client(ErrorReply(id=5, kind="failed", message="why"))
    with pytest.raises(ProtocolError, match="answered request 5 when 1 was asked"):
        client.hello()
