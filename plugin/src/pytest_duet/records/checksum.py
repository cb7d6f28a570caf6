"""A checksum at the end of a file's content: it shows that the content is what was written.

It detects edits and accidents. It is not a signature: anyone can write other content with a valid checksum.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_CHECKSUM: Final = re.compile(rb',"digest":"([0-9a-f]{64})"\}\s*')
_CHECKSUM_BYTES: Final = 90


def with_checksum(content: bytes) -> bytes:
    """Return the JSON object `content` with a last key, ``digest``: the SHA-256 of everything before it."""
    body = content.removesuffix(b"}")
    return body + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def verified_content(path: Path, content: bytes) -> bytes:
    """Return `content`, read from `path`, without its checksum.

    Raises:
        StoreError: it has no checksum, or a wrong one.
    """
    body, digest = _split(content)
    if not digest:
        msg = f"{path}: was changed after it was saved (its digest does not match); take the file as it was saved"
        raise StoreError(msg)
    return body + b"}"


def identity(content: bytes) -> str:
    """Return what identifies a file: its valid checksum, or else the SHA-256 of `content`.

    The checksum does not cover the white space after it, so a copy with more of it is the same file.
    """
    return _split(content)[1] or hashlib.sha256(content).hexdigest()


def _split(content: bytes) -> tuple[bytes, str]:
    """Return what `content` holds before its checksum, and the checksum, empty where there is none or a wrong one."""
    start = content.rfind(b',"digest":"', -_CHECKSUM_BYTES)
    found = _CHECKSUM.fullmatch(content, start) if start >= 0 else None
    digest = hashlib.sha256(content[:start]).hexdigest() if found else ""
    return content[:start], digest if found and digest.encode() == found[1] else ""
