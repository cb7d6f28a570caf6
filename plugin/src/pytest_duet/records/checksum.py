"""A digest at the end of a file's content, so that whoever reads it can tell that it is what was written.

Not a signature: it notices edits and accidents, not someone who seals what he forged.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from pytest_duet.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_SEAL: Final = re.compile(rb',"digest":"([0-9a-f]{64})"\}\s*')
_SEAL_BYTES: Final = 90


def with_checksum(content: bytes) -> bytes:
    """Return the JSON object `content` with the SHA-256 of what stands before it as its last key, ``digest``."""
    body = content.removesuffix(b"}")
    return body + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def verified_content(path: Path, content: bytes) -> bytes:
    """Return `content`, read from `path`, without its seal.

    Raises:
        StoreError: it has none, or was changed after it was sealed.

    """
    body, digest = _opened(content)
    if not digest:
        msg = f"{path}: was changed after it was saved (its digest does not match); take the file as it was saved"
        raise StoreError(msg)
    return body + b"}"


def identity(content: bytes) -> str:
    """Return what tells a file from others: the digest in its seal, else the SHA-256 of `content`.

    White space behind the seal is not sealed, so a copy with more of it is the same file.
    """
    return _opened(content)[1] or hashlib.sha256(content).hexdigest()


def _opened(content: bytes) -> tuple[bytes, str]:
    """Return what stands before the seal of `content`, and its digest; the digest is empty where it is not sealed."""
    start = content.rfind(b',"digest":"', -_SEAL_BYTES)
    found = _SEAL.fullmatch(content, start) if start >= 0 else None
    digest = hashlib.sha256(content[:start]).hexdigest() if found else ""
    return content[:start], digest if found and digest.encode() == found[1] else ""
