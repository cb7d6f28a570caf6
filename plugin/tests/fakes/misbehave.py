"""A worker that misbehaves as its first argument says. Plain Python without imports that cost time: it starts at once.

Not a test.
"""

import os
import signal
import sys


def read() -> bytes:
    """Wait for a request."""
    return os.read(0, 65536)


def say(line: bytes) -> None:
    """Write to the protocol channel, all of it."""
    while line:
        line = line[os.write(1, line) :]


def answer(request: bytes, size: int = 0) -> None:
    """Reply to `request` as a worker should, with a text of `size`."""
    number = request.rsplit(b'"id":', 1)[1].rstrip(b"}\n")
    say(b'{"op":"error","kind":"failed","message":"' + b"x" * size + b'","id":' + number + b"}\n")


def die_of(name: str) -> None:
    """Be ended by signal `name`."""
    read()
    os.kill(os.getpid(), getattr(signal, name))
    signal.pause()


def leave_with(status: str) -> None:
    """Log a panic and exit."""
    read()
    os.write(2, b"thread 'main' panicked at src/main.rs:1\n")
    os._exit(int(status))


def hang() -> None:
    """Never say anything."""
    signal.pause()


def close_stdout() -> None:
    """Stay alive without a voice."""
    read()
    os.close(1)
    signal.pause()


def utter(content: str) -> None:
    """Write bytes given in hex, then wait."""
    read()
    say(bytes.fromhex(content))
    signal.pause()


def utter_and_leave(content: str) -> None:
    """Write bytes given in hex, then exit without fault."""
    read()
    say(bytes.fromhex(content))


def endless(stubborn: str) -> None:
    """Write one line without end; if `stubborn`, ignore the polite way to end it."""
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    read()
    while True:
        say(b"x" * 65536)


def flood_when_told_to_leave() -> None:
    """Answer once; when stdin ends, write without end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(read())
    while read():
        pass
    while True:
        say(b"x" * 65536)


def deaf_flood() -> None:
    """Close stdin, so that requests break, and write without end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.close(0)
    while True:
        say(b"x" * 65536)


def chatter(size: str) -> None:
    """Answer every request at length."""
    while request := read():
        answer(request, int(size))


def flood_log(last: str) -> None:
    """Write a megabyte of log before answering, and after it too, then die."""
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
    """Take no request; write a log all the while."""
    while True:
        os.write(2, b"e" * 4096)


def brood(fifo: str) -> None:
    """Leave a child behind that holds `fifo` open, and answer."""
    request = read()
    ready, told = os.pipe()
    if os.fork() == 0:
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        os.open(fifo, os.O_WRONLY)
        os.write(told, b"x")
        signal.pause()
    os.read(ready, 1)
    answer(request)
    read()


def daemonise(fifo: str) -> None:
    """Leave a child in a session of its own that holds `fifo` open, and answer."""
    request = read()
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for descriptor in (0, 1, 2):
                os.close(descriptor)
            os.open(fifo, os.O_WRONLY)
            os.write(told, b"x")
            signal.pause()
        os._exit(0)
    os.read(ready, 1)
    answer(request)
    read()


def die_with_heir() -> None:
    """Die while a child of ours still holds our stdout."""
    read()
    if os.fork() == 0:
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def stay() -> None:
    """Answer, then neither leave when told to nor when asked by the system; hold the FIFO open to show we are there."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer(read())
    while True:
        signal.pause()


def show(variable: str) -> None:
    """Log an environment variable and the leader of our group, then die."""
    read()
    os.write(2, f"{os.environ.get(variable)} {os.getpgid(0) == os.getpid()} {os.getsid(0) == os.getpid()}".encode())
    os._exit(3)


globals()[sys.argv[1]](*sys.argv[2:])
