"""The channel ends a worker that misbehaves, says what happened, and leaves no process behind."""

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
    """Give a worker little time to exit."""
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.2)


# --- normal operation -------------------------------------------------------------------------------------------------


def test_a_worker_answers_several_requests_and_exits_when_closed() -> None:
    channel = _start("answer_all", "3")
    for number in (1, 2):
        assert ErrorReply(id=number, kind="failed", message="xxx") == channel.exchange(Hello(id=number), seconds=30)
    channel.close()
    assert _is_gone(channel.pid)
    channel.close()


def test_a_worker_gets_its_environment_and_its_own_group_and_session() -> None:
    channel = _start("log_environment", "DUET_TEST", DUET_TEST="7")
    with pytest.raises(Crashed) as caught:
        channel.exchange(HELLO, seconds=30)
    assert "7 True True" == caught.value.log


def test_a_missing_program_is_unavailable_and_the_error_names_the_build_command() -> None:
    with pytest.raises(
        Unavailable, match=r"^/no/duet-x cannot be started \(No such file or directory\); build it: b x$"
    ):
        spawn(["/no/duet-x"], name="x", environment={}, build="b x")


def test_a_program_without_permission_to_run_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "duet-x").write_bytes(b"\x7fELF")
    with pytest.raises(Unavailable, match=r"\(Permission denied\)$"):
        spawn([str(tmp_path / "duet-x")], name="x", environment={})


# --- how a worker ends ------------------------------------------------------------------------------------------------


def test_a_panic_is_a_crash_and_the_error_quotes_the_log() -> None:
    text = _fails(Crashed, "exit_with", "101")
    assert "tch exited with status 101 while asked to hello\nthread 'main' panicked at src/main.rs:1" == text


@pytest.mark.parametrize("status", ["126", "127"])
def test_the_error_says_that_the_program_could_not_be_loaded(status: str) -> None:
    assert f"exited with status {status} (it could not be loaded)" in _fails(Crashed, "exit_with", status)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGTERM"])
def test_a_fatal_signal_is_a_crash_and_the_error_names_it(name: str) -> None:
    assert f"tch died of {name} while asked to hello" == _fails(Crashed, "die_of", name)


def test_a_kill_is_distinguished_from_a_crash() -> None:
    assert "tch was killed while asked to hello (maybe out of memory)" == _fails(Killed, "die_of", "SIGKILL")


def test_exiting_without_a_reply_is_an_error_even_with_status_zero() -> None:
    assert "tch left without answering hello" in _fails(ProtocolError, "exit_with", "0")


def test_the_death_of_a_worker_is_noticed_though_its_child_holds_the_pipe(impatient: None) -> None:
    assert "was killed while asked to hello" in _fails(Killed, "die_before_child", seconds=2)


def test_a_worker_that_hangs_is_ended_at_the_deadline() -> None:
    assert "tch did not answer hello within 0.05 s" == _fails(TimedOut, "hang", seconds=0.05)


def test_a_worker_that_never_reads_is_ended_at_the_deadline(impatient: None) -> None:
    channel = _start("never_read")
    # Fill the pipe, so that the request does not fit.
    os.write(channel._stdin, b"x" * 65536)
    with pytest.raises(TimedOut, match=r"^tch did not take its verify request in time$"):
        channel.exchange(Verify(id=1, into="x" * 65000), seconds=0.3)
    assert _is_gone(channel.pid)


def test_closing_stdout_is_an_error_even_if_the_worker_goes_on(impatient: None) -> None:
    text = _fails(ProtocolError, "close_stdout")
    assert "tch closed its output while asked to hello, and stayed alive" in text


def test_a_worker_that_does_not_exit_is_killed(impatient: None) -> None:
    channel = _start("ignore_quit")
    channel.exchange(HELLO, seconds=30)
    channel.close()
    assert _is_gone(channel.pid)


def test_a_request_to_an_ended_worker_raises_the_same_error_again() -> None:
    channel = _start("exit_with", "3")
    with closing(channel):
        errors = []
        for _ in range(2):
            with pytest.raises(Crashed) as caught:
                channel.exchange(HELLO, seconds=30)
            errors.append(str(caught.value))
    assert ["tch exited with status 3 while asked to hello"] * 2 == errors


def test_a_second_ctrl_c_does_not_keep_a_worker_alive(monkeypatch: pytest.MonkeyPatch) -> None:
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


# --- lines that are not replies ---------------------------------------------------------------------------------------

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
def test_a_line_that_is_not_a_reply_is_an_error_with_a_hex_excerpt(content: bytes) -> None:
    text = _fails(ProtocolError, "write_and_wait", content.hex())
    assert text.startswith("tch, asked to hello: not a message")
    assert f"hex {content.removesuffix(bytes([10]))[:48].hex(' ')}" in text


def test_an_unfinished_line_is_an_error_with_a_hex_excerpt() -> None:
    text = _fails(ProtocolError, "write_and_exit", REPLY.hex())
    assert REPLY[:48].hex(" ") in text


def test_two_replies_that_arrive_together_are_read_one_by_one(impatient: None) -> None:
    with closing(_start("write_and_wait", (REPLY + b"\n" + REPLY + b"\n").hex())) as channel:
        assert [1, 1] == [channel.exchange(HELLO, seconds=30).id for _ in range(2)]


# --- too much output --------------------------------------------------------------------------------------------------


def _growth(action: Callable[[], Any]) -> int:
    """Return by how many bytes the peak memory of this process rose during `action`."""
    reset_peak(os.getpid())
    before = peak_bytes(os.getpid())
    action()
    return peak_bytes(os.getpid()) - before


def test_an_endless_line_is_cut_off_and_does_not_fill_the_memory() -> None:
    text: list[str] = []
    grown = _growth(lambda: text.append(_fails(ProtocolError, "endless_line", "")))
    assert "a line without end is over the limit of 65536 bytes: 'xxxx" in text[0]
    assert grown < 16 * MIB


def test_a_flood_from_a_worker_that_ignores_sigterm_does_not_fill_the_memory(impatient: None) -> None:
    grown = _growth(lambda: _fails(ProtocolError, "endless_line", "stubborn"))
    assert grown < 16 * MIB


def test_a_flood_during_close_does_not_fill_the_memory(impatient: None) -> None:
    channel = _start("flood_after_stdin_ends")
    channel.exchange(HELLO, seconds=30)
    assert _growth(channel.close) < 16 * MIB
    assert _is_gone(channel.pid)


@pytest.mark.timeout(5)
def test_a_flood_from_a_worker_that_takes_no_requests_is_ended(impatient: None) -> None:
    channel = _start("flood_without_stdin")
    # Its first bytes log_environment that it has started and closed stdin.
    assert select.select([channel._stdout], [], [], 30)[0]

    def ask() -> None:
        with pytest.raises(ProtocolError):
            channel.exchange(HELLO, seconds=30)

    assert _growth(ask) < 16 * MIB
    assert _is_gone(channel.pid)


def test_a_whole_line_over_the_limit_is_refused() -> None:
    line = b'{"op":"error","kind":"failed","message":"' + b"x" * 66000 + b'","id":1}\n'
    channel = _start("answer_all", "66000")
    with closing(channel), pytest.raises(ProtocolError, match="is over the limit of 65536"):
        channel.exchange(HELLO, seconds=30)
    assert len(line) > 65536


def test_more_output_than_a_worker_may_write_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "SESSION_LIMIT_BYTES", 100_000)
    channel = _start("answer_all", "40000")
    for number in (1, 2, 3):
        channel.exchange(Hello(id=number), seconds=30)
    with pytest.raises(ProtocolError, match="more than 100000 bytes came from one worker"):
        channel.exchange(Hello(id=4), seconds=30)
    assert _is_gone(channel.pid)


def test_a_flooded_log_does_not_block_and_only_its_end_is_quoted() -> None:
    channel = _start("flood_log", b"THE END".hex())
    channel.exchange(HELLO, seconds=30)
    with pytest.raises(Crashed) as caught:
        channel.exchange(Hello(id=2), seconds=30)
    assert "tch exited with status 3 while asked to hello" == str(caught.value)
    assert "e" * 4089 + "THE END" == caught.value.log


def test_a_quoted_log_has_no_character_that_a_terminal_acts_on() -> None:
    channel = _start("flood_log", b"\n\x1b[31mred\x07\x9b\xff".hex())
    channel.exchange(HELLO, seconds=30)
    with pytest.raises(Crashed) as caught:
        channel.exchange(Hello(id=2), seconds=30)
    text = caught.value.log
    assert "red" in text
    assert [] == [letter for letter in text if letter != "\n" and (ord(letter) < 32 or 127 <= ord(letter) < 160)]


def test_tick_is_called_while_waiting() -> None:
    ticks: list[int] = []
    enough = threading.Event()

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            enough.set()
            raise KeyboardInterrupt

    channel = _start("hang")
    with pytest.raises(KeyboardInterrupt):
        channel.exchange(HELLO, seconds=30, tick=tick)
    assert enough.is_set()


# --- nothing is left behind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["close", "error"])
@pytest.mark.parametrize(("behaviour", "left_behind"), [("leave_child", 0), ("leave_daemon", 1)])
def test_the_children_of_a_worker_end_with_it(behaviour: str, left_behind: int, end: str, tmp_path: Path) -> None:
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    # Poll reports a hang-up once the last writer, the worker's child, has ended.
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        channel = _start(behaviour, str(fifo))
        channel.exchange(HELLO, seconds=30)
        if end == "error":
            with pytest.raises(MemberError):
                channel.exchange(Hello(id=2), seconds=30)
        channel.close()
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        assert [(reader, select.POLLHUP)] == poll.poll(5000)
        assert left_behind == channel.left_behind
    finally:
        os.close(reader)


def test_a_child_that_the_user_started_stays_alive() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-E", str(MISBEHAVE), "hang"], stdin=subprocess.DEVNULL)
    try:
        with closing(_start("answer_all", "1")) as channel:
            channel.exchange(HELLO, seconds=30)
        assert child.poll() is None
        assert 0 == channel.left_behind
    finally:
        child.kill()
        child.wait()


def test_no_descriptor_stays_open() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = count()
    _fails(Crashed, "exit_with", "1")
    with closing(_start("answer_all", "1")) as channel:
        channel.exchange(HELLO, seconds=30)
    assert before == count()
