"""A worker's process may do anything; the channel ends it, says what happened, and nothing is left behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.errors import Crashed, Killed, MemberError, ProtocolError, TimedOut, Unavailable
from pytest_duet.protocol import ErrorReply, Hello, Verify
from pytest_duet.telemetry.memory import peak_bytes, reset_peak
from pytest_duet.workers import process
from pytest_duet.workers.process import ProcessChannel, spawn

if TYPE_CHECKING:
    from collections.abc import Callable

MISBEHAVE = Path(__file__).parent / "fakes" / "misbehave.py"
MIB = 1024 * 1024
HELLO = Hello(id=1)


def _start(behaviour: str, *args: str, **environment: str) -> ProcessChannel:
    argv = [sys.executable, "-S", "-E", str(MISBEHAVE), behaviour, *args]
    return spawn(argv, name="tch", environment=environment)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _fails(expected: type[MemberError], behaviour: str, *args: str, seconds: float = 30.0) -> str:
    channel = _start(behaviour, *args)
    with closing(channel), pytest.raises(MemberError) as caught:
        channel.exchange(HELLO, seconds=seconds)
    assert expected is type(caught.value), caught.value
    assert _is_gone(channel.pid)
    return f"{caught.value}\n{caught.value.log}".rstrip("\n")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a worker little time to leave."""
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)


# --- a worker that behaves --------------------------------------------------------------------------------------------


def test_a_worker_that_behaves_is_answered_again_and_again_and_leaves_when_told() -> None:
    channel = _start("chatter", "3")
    for number in (1, 2):
        assert ErrorReply(id=number, kind="failed", message="xxx") == channel.exchange(Hello(id=number), seconds=30)
    channel.close()
    assert _is_gone(channel.pid)
    channel.close()


def test_a_worker_has_its_environment_and_a_group_and_session_of_its_own() -> None:
    channel = _start("show", "DUET_TEST", DUET_TEST="7")
    with pytest.raises(Crashed) as caught:
        channel.exchange(HELLO, seconds=30)
    assert "7 True True" == caught.value.log


def test_a_missing_program_is_unavailable_and_the_build_command_is_named() -> None:
    with pytest.raises(
        Unavailable, match=r"^/no/duet-x cannot be started \(No such file or directory\); build it: b x$"
    ):
        spawn(["/no/duet-x"], name="x", environment={}, build="b x")


def test_a_program_that_may_not_be_run_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "duet-x").write_bytes(b"\x7fELF")
    with pytest.raises(Unavailable, match=r"\(Permission denied\)$"):
        spawn([str(tmp_path / "duet-x")], name="x", environment={})


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_panic_is_a_crash_and_the_log_is_quoted() -> None:
    text = _fails(Crashed, "leave_with", "101")
    assert "tch exited with status 101 while asked to hello\nthread 'main' panicked at src/main.rs:1" == text


@pytest.mark.parametrize("status", ["126", "127"])
def test_a_loader_that_failed_is_said_to_have(status: str) -> None:
    assert f"exited with status {status} (it could not be loaded)" in _fails(Crashed, "leave_with", status)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGTERM"])
def test_a_fatal_signal_is_a_crash_by_its_name(name: str) -> None:
    assert f"tch died of {name} while asked to hello" == _fails(Crashed, "die_of", name)


def test_a_kill_is_told_from_a_crash() -> None:
    assert "tch was killed while asked to hello (maybe out of memory)" == _fails(Killed, "die_of", "SIGKILL")


def test_leaving_without_an_answer_is_a_fault_even_with_status_zero() -> None:
    assert "tch left without answering hello" in _fails(ProtocolError, "leave_with", "0")


def test_a_worker_that_dies_is_not_waited_for_because_its_child_holds_the_pipe(impatient: None) -> None:
    assert "was killed while asked to hello" in _fails(Killed, "die_with_heir", seconds=2)


def test_a_hang_before_the_greeting_ends_at_its_deadline() -> None:
    assert "tch did not answer hello within 0.05 s" == _fails(TimedOut, "hang", seconds=0.05)


def test_a_request_that_is_never_taken_ends_at_its_deadline(impatient: None) -> None:
    channel = _start("never_read")
    # Whoever was there before us has filled the pipe: a line as long as may be does not fit any more.
    os.write(channel._stdin, b"x" * 65536)
    with pytest.raises(TimedOut, match=r"^tch did not take its verify request in time$"):
        channel.exchange(Verify(id=1, into="x" * 65000), seconds=0.3)
    assert _is_gone(channel.pid)


def test_a_closed_voice_is_a_fault_though_the_worker_lives(impatient: None) -> None:
    text = _fails(ProtocolError, "close_stdout")
    assert "tch closed its output while asked to hello, and stayed alive" in text


def test_a_worker_that_will_not_leave_is_killed(impatient: None) -> None:
    channel = _start("stay")
    channel.exchange(HELLO, seconds=30)
    channel.close()
    assert _is_gone(channel.pid)


def test_who_asks_a_worker_that_has_ended_is_told_again_how_it_ended() -> None:
    channel = _start("leave_with", "3")
    with closing(channel):
        said = []
        for _ in range(2):
            with pytest.raises(Crashed) as caught:
                channel.exchange(HELLO, seconds=30)
            said.append(str(caught.value))
    assert ["tch exited with status 3 while asked to hello"] * 2 == said


def test_a_second_ctrl_c_while_a_worker_is_being_ended_does_not_spare_it(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = _start("hang")

    def interrupt(_: float) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(channel, "_drain", interrupt)
    with pytest.raises(KeyboardInterrupt):
        channel.exchange(HELLO, seconds=30)
    assert _is_gone(channel.pid)


def test_ctrl_c_during_a_request_ends_the_worker() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    channel = _start("hang")
    with pytest.raises(KeyboardInterrupt):
        channel.exchange(HELLO, seconds=30, tick=interrupt)
    assert _is_gone(channel.pid)


# --- what is no reply -------------------------------------------------------------------------------------------------

REPLY = b'{"op":"quit","id":1}'


@pytest.mark.parametrize(
    "content",
    [
        b"loading model...\n",
        b"\xff\xfe" + REPLY + b"\n",
        b'{"op":"error","kind":"failed","message":"\xff","id":1}\n',
        b"\xef\xbb\xbf" + REPLY + b"\n",
        REPLY + b"\r\n",
        b"\x00" + REPLY + b"\n",
        REPLY + b"\x00\n",
        b"\n",
        b" " + REPLY + b"\n",
        REPLY + REPLY + b"\n",
    ],
    ids=["garbage", "UTF-16", "no UTF-8", "BOM", "CRLF", "NUL before", "NUL after", "empty", "space", "two in one"],
)
def test_what_is_no_reply_is_a_fault_with_an_excerpt_in_hex(content: bytes) -> None:
    text = _fails(ProtocolError, "utter", content.hex())
    assert text.startswith("tch, asked to hello: not a message")
    assert f"hex {content.removesuffix(bytes([10]))[:48].hex(' ')}" in text


def test_a_line_that_was_not_finished_is_a_fault_with_an_excerpt_in_hex() -> None:
    text = _fails(ProtocolError, "utter_and_leave", REPLY.hex())
    assert REPLY[:48].hex(" ") in text


def test_two_replies_that_come_at_once_are_taken_apart(impatient: None) -> None:
    with closing(_start("utter", (REPLY + b"\n" + REPLY + b"\n").hex())) as channel:
        assert [1, 1] == [channel.exchange(HELLO, seconds=30).id for _ in range(2)]


# --- too much ---------------------------------------------------------------------------------------------------------


def _growth(what: Callable[[], Any]) -> int:
    """Return by how much the peak of this process rose while `what` was done, in bytes."""
    reset_peak(os.getpid())
    before = peak_bytes(os.getpid())
    what()
    return peak_bytes(os.getpid()) - before


def test_a_line_without_end_is_cut_off_and_does_not_fill_our_memory() -> None:
    text: list[str] = []
    grown = _growth(lambda: text.append(_fails(ProtocolError, "endless", "")))
    assert "a line without end is over the limit of 65536 bytes: 'xxxx" in text[0]
    assert grown < 16 * MIB


def test_a_flood_that_ignores_the_polite_signal_does_not_fill_our_memory(impatient: None) -> None:
    grown = _growth(lambda: _fails(ProtocolError, "endless", "stubborn"))
    assert grown < 16 * MIB


def test_a_flood_at_the_end_does_not_fill_our_memory(impatient: None) -> None:
    channel = _start("flood_when_told_to_leave")
    channel.exchange(HELLO, seconds=30)
    assert _growth(channel.close) < 16 * MIB
    assert _is_gone(channel.pid)


@pytest.mark.timeout(5)
def test_a_flood_of_a_worker_that_takes_no_requests_has_an_end(impatient: None) -> None:
    channel = _start("deaf_flood")
    # Its first bytes show that it is up, and deaf.
    assert select.select([channel._stdout], [], [], 30)[0]

    def ask() -> None:
        with pytest.raises(ProtocolError):
            channel.exchange(HELLO, seconds=30)

    assert _growth(ask) < 16 * MIB
    assert _is_gone(channel.pid)


def test_a_whole_line_over_the_limit_is_refused() -> None:
    line = b'{"op":"error","kind":"failed","message":"' + b"x" * 66000 + b'","id":1}\n'
    channel = _start("chatter", "66000")
    with closing(channel), pytest.raises(ProtocolError, match="is over the limit of 65536"):
        channel.exchange(HELLO, seconds=30)
    assert len(line) > 65536


def test_more_than_a_session_may_say_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SESSION_LIMIT_BYTES", 100_000)
    channel = _start("chatter", "40000")
    for number in (1, 2, 3):
        channel.exchange(Hello(id=number), seconds=30)
    with pytest.raises(ProtocolError, match="more than 100000 bytes came from one worker"):
        channel.exchange(Hello(id=4), seconds=30)
    assert _is_gone(channel.pid)


def test_a_flooded_log_blocks_nobody_and_only_its_end_is_quoted() -> None:
    channel = _start("flood_log", b"THE END".hex())
    channel.exchange(HELLO, seconds=30)
    with pytest.raises(Crashed) as caught:
        channel.exchange(Hello(id=2), seconds=30)
    assert "tch exited with status 3 while asked to hello" == str(caught.value)
    assert "e" * 4089 + "THE END" == caught.value.log


def test_what_a_log_would_tell_a_terminal_is_not_quoted() -> None:
    channel = _start("flood_log", b"\n\x1b[31mred\x07\x9b\xff".hex())
    channel.exchange(HELLO, seconds=30)
    with pytest.raises(Crashed) as caught:
        channel.exchange(Hello(id=2), seconds=30)
    text = caught.value.log
    assert "red" in text
    assert [] == [letter for letter in text if letter != "\n" and (ord(letter) < 32 or 127 <= ord(letter) < 160)]


def test_a_look_is_taken_while_waiting() -> None:
    looks: list[int] = []
    enough = threading.Event()

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            enough.set()
            raise KeyboardInterrupt

    channel = _start("hang")
    with pytest.raises(KeyboardInterrupt):
        channel.exchange(HELLO, seconds=30, tick=look)
    assert enough.is_set()


# --- nothing is left --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "fault"])
@pytest.mark.parametrize(("behaviour", "left_behind"), [("brood", 0), ("daemonise", 1)])
def test_the_children_of_a_worker_are_gone_with_it(behaviour: str, left_behind: int, end: str, tmp_path: Path) -> None:
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    # Readable from here on; its end comes when the last writer, the worker's child, is gone.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        channel = _start(behaviour, str(fifo))
        channel.exchange(HELLO, seconds=30)
        if end == "fault":
            with pytest.raises(MemberError):
                channel.exchange(Hello(id=2), seconds=30)
        channel.close()
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        assert [(reader, select.POLLHUP)] == poll.poll(5000)
        assert left_behind == channel.left_behind
    finally:
        os.close(reader)


def test_a_child_of_the_users_own_is_let_live() -> None:
    theirs = subprocess.Popen([sys.executable, "-S", "-E", str(MISBEHAVE), "hang"], stdin=subprocess.DEVNULL)
    try:
        with closing(_start("chatter", "1")) as channel:
            channel.exchange(HELLO, seconds=30)
        assert theirs.poll() is None
        assert 0 == channel.left_behind
    finally:
        theirs.kill()
        theirs.wait()


def test_no_descriptor_is_left_open() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    _fails(Crashed, "leave_with", "1")
    with closing(_start("chatter", "1")) as channel:
        channel.exchange(HELLO, seconds=30)
    assert before == count()
