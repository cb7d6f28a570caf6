"""A worker that misbehaves as its first argument says. It imports no slow module, so it starts at once.

Not a test.
"""

import os
import signal
import sys


def read() -> bytes:
    """Return a request."""
    return os.read(0, 65536)


def write(line: bytes) -> None:
    """Write all of `line` to stdout."""
    while line:
        line = line[os.write(1, line) :]


def answer(request: bytes, size: int = 0) -> None:
    """Reply to `request` correctly, with a message of `size` characters."""
    number = request.rsplit(b'"id":', 1)[1].rstrip(b"}\n")
    write(b'{"op":"error","kind":"failed","message":"' + b"x" * size + b'","id":' + number + b"}\n")


def die_of(name: str) -> None:
    """Die of signal `name`."""
    read()
    os.kill(os.getpid(), getattr(signal, name))
    signal.pause()


def exit_with(status: str) -> None:
    """Log a panic and exit."""
    read()
    os.write(2, b"thread 'main' panicked at src/main.rs:1\n")
    os._exit(int(status))


def hang() -> None:
    """Never write anything."""
    signal.pause()


def close_stdout() -> None:
    """Close stdout and stay alive."""
    read()
    os.close(1)
    signal.pause()


def write_and_wait(content: str) -> None:
    """Write `content`, given in hex, then wait."""
    read()
    write(bytes.fromhex(content))
    signal.pause()


def write_and_exit(content: str) -> None:
    """Write `content`, given in hex, then exit with status 0."""
    read()
    write(bytes.fromhex(content))


def endless_line(stubborn: str) -> None:
    """Write one line without end; if `stubborn`, ignore SIGTERM."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    read()
    while True:
        write(b"x" * 65536)


def flood_after_stdin_ends() -> None:
    """Answer once; after stdin ends, write without end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(read())
    while read():
        pass
    while True:
        write(b"x" * 65536)


def flood_without_stdin() -> None:
    """Close stdin, so that requests fail, and write without end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(0)
    while True:
        write(b"x" * 65536)


def answer_all(size: str) -> None:
    """Answer every request with a message of `size` characters."""
    while request := read():
        answer(request, int(size))


def flood_log(last: str) -> None:
    """Write a megabyte of log before answering and another after it, then exit."""
    request = read()
    for _ in range(256):
        os.write(2, b"e" * 4096)
    answer(request)
    read()
    for _ in range(256):
        os.write(2, b"e" * 4096)
    os.write(2, bytes.fromhex(last))
    os._exit(3)


def never_read() -> None:
    """Read no request; write to the log without end."""
    while True:
        os.write(2, b"e" * 4096)


def hold_open(fifo: str, ready_writer: int) -> None:
    """Open `fifo` and wait, without the standard streams; write to `ready_writer` when it is open."""
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    os.open(fifo, os.O_WRONLY)
    os.write(ready_writer, b"x")
    signal.pause()


def leave_child(fifo: str) -> None:
    """Start a child that holds `fifo` open, and answer."""
    request = read()
    ready_reader, ready_writer = os.pipe()
    if os.fork() == 0:
        hold_open(fifo, ready_writer)
    os.read(ready_reader, 1)
    answer(request)
    read()


def leave_daemon(fifo: str) -> None:
    """Start an orphan in its own session that holds `fifo` open, and answer."""
    request = read()
    ready_reader, ready_writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            hold_open(fifo, ready_writer)
        os._exit(0)
    os.read(ready_reader, 1)
    answer(request)
    read()


def die_before_child() -> None:
    """Die while a child still holds stdout open."""
    read()
    if os.fork() == 0:
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def ignore_quit() -> None:
    """Answer, then ignore the end of stdin and SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(read())
    while True:
        signal.pause()


def log_environment(variable: str) -> None:
    """Log an environment variable and whether this process leads its group and session, then exit."""
    read()
    os.write(2, f"{os.environ.get(variable)} {os.getpgid(0) == os.getpid()} {os.getsid(0) == os.getpid()}".encode())
    os._exit(3)


globals()[sys.argv[1]](*sys.argv[2:])
