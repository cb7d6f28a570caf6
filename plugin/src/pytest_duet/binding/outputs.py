"""Read the arrays that a worker wrote, and check them against the digest it reported."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_duet.digests import digest_outputs
from pytest_duet.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.binding.bind import Arrays
    from pytest_duet.workers.client import Client


def kept_outputs(client: Client, digest: str | None) -> Arrays:
    """Return the outputs of the round that `client` kept; `digest` is the one it reported when it ran the round.

    Raises:
        MemberError: the worker fails, or the outputs cannot be read or have another digest.
    """
    with tempfile.TemporaryDirectory(prefix="duet-") as folder:
        reply = client.outputs(Path(folder))
        if reply.digest != digest:
            raise ProtocolError(f"{client.name} hands over other outputs than those of the round it was to keep")
        return read_outputs(reply.outputs, reply.digest, Path(folder), client.name)


def read_outputs(paths: Mapping[str, str], digest: str, folder: Path, name: str) -> Arrays:
    """Return the arrays that a worker wrote into `folder`, with the digest that it reported.

    Raises:
        ProtocolError: a file is in another folder or holds no array, or the arrays have another digest.
    """
    if not paths:
        raise ProtocolError(f"{name} handed over no outputs; parity cannot be judged without")
    arrays = {}
    for output, path in paths.items():
        if Path(path).resolve().parent != folder.resolve():
            raise ProtocolError(f"{name} wrote output {output!r} outside of the folder it was given")
        try:
            arrays[output] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ProtocolError(f"{name}: output {output!r} cannot be read: {error}") from error
    seen = digest_outputs(arrays)
    if seen != digest:
        raise ProtocolError(f"{name} says its outputs have digest {digest[:12]}, the files it wrote have {seen[:12]}")
    return arrays
