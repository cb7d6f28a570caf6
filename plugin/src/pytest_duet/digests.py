"""Compute the digest by which a driver and a worker agree on outputs.

The Rust twin is in ``rust_crates/duet-worker/src/array.rs``; the vector in ``testdata/output_digest.json`` tests both.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np


def digest_outputs(outputs: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of named arrays in hex.

    The arrays are hashed in order of their names. Each contributes its name, NUL, numpy's type string (``<f8``), NUL, its
    shape as decimals joined by commas, NUL, and its elements as little-endian bytes in C order.
    """
    digest = hashlib.sha256()
    for name in sorted(outputs):
        array = outputs[name]
        shape = ",".join(str(length) for length in array.shape)
        digest.update(f"{name}\0{array.dtype.str}\0{shape}\0".encode())
        digest.update(array.tobytes(order="C"))
    return digest.hexdigest()
