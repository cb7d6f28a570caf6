"""Serve a host's implementations over this process's stdin and stdout."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from pytest_duet.errors import ProtocolError
from pytest_duet.protocol import LINE_LIMIT_BYTES, ErrorReply, Quit
from pytest_duet.workers.codec import decode_request, encode

if TYPE_CHECKING:
    from pytest_duet.protocol import Reply
    from pytest_duet.workers.host import Host


def serve(host: Host) -> None:
    """Answer one request a line until `quit` or the end of stdin."""
    # Replies go to a copy of stdout. Descriptor 1 becomes stderr, so that prints do not mix with replies.
    replies = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    with os.fdopen(os.dup(0), "rb") as requests:
        while line := requests.readline(LINE_LIMIT_BYTES + 1):
            try:
                request = decode_request(line)
            except ProtocolError as error:
                # Discard the rest of a line that is too long.
                while line and not line.endswith(b"\n"):
                    line = requests.readline(LINE_LIMIT_BYTES)
                os.write(replies, encode(ErrorReply(id=0, kind="invalid", message=str(error)[:4096])))
                continue
            os.write(replies, _encode(host.handle(request)))
            if isinstance(request, Quit):
                break
    host.close()


def _encode(reply: Reply) -> bytes:
    """Return `reply` as a line; replace one that is too long with an error reply, as the Rust harness does."""
    try:
        return encode(reply)
    except ProtocolError as error:
        return encode(ErrorReply(id=reply.id, kind="failed", message=f"{error}; ask for less"))
