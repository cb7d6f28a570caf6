"""Two vectors to add."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..recipes import integer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from pytest_duet.values import Scalar


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return ``start`` and ``step`` (elements,), f32, from 0 to 1."""
    elements = integer(params, "elements")
    return {name: rng.random(elements, dtype="float32") for name in ("start", "step")}


def size(params: Mapping[str, Scalar]) -> str:
    """Return the number of elements of a vector."""
    return f"{params['elements']}"
