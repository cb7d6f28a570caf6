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


def seal(content: bytes) -> bytes:
    """Return the JSON object `content` with the SHA-256 of what stands before it as its last key, ``digest``."""
    body = content.removesuffix(b"}")
    return body + b',"digest":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def unseal(path: Path, content: bytes) -> bytes:
    """Return `content`, read from `path`, without its seal.

    Raises:
        StoreError: it has none, or was changed after it was sealed.

    """
    start = content.rfind(b',"digest":"', -_SEAL_BYTES)
    found = _SEAL.fullmatch(content, start) if start >= 0 else None
    if found is None or hashlib.sha256(content[:start]).hexdigest().encode() != found[1]:
        msg = f"{path}: was changed after it was saved (its digest does not match); take the file as it was saved"
        raise StoreError(msg)
    return content[:start] + b"}"
