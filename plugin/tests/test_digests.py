"""The digest of outputs depends on every name, shape, type and bit, and equals the one that Rust computes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_duet.digests import digest_outputs

if TYPE_CHECKING:
    from pathlib import Path


def test_the_digest_of_outputs_equals_the_one_rust_computes(vectors: Path) -> None:
    case = json.loads((vectors / "output_digest.json").read_bytes())
    arrays = {
        each["name"]: np.frombuffer(bytes.fromhex(each["bytes_hex"]), dtype=each["dtype"]).reshape(each["shape"])
        for each in case["arrays"]
    }
    assert case["sha256"] == digest_outputs(arrays)


def test_the_digest_does_not_depend_on_the_order_of_names_or_of_elements_in_memory() -> None:
    array = np.arange(6.0).reshape(2, 3)
    plain = digest_outputs({"a": array, "b": array})
    assert plain == digest_outputs({"b": np.asfortranarray(array), "a": array})


@pytest.mark.parametrize(
    "other",
    [
        {"b": np.zeros(2)},
        {"a": np.zeros((2, 1))},
        {"a": np.zeros(2, dtype=np.int64)},
        {"a": -np.zeros(2)},
        {"a": np.zeros(2), "b": np.zeros(0)},
        {},
    ],
    ids=["name", "shape", "dtype", "sign of zero", "one more", "none"],
)
def test_another_name_shape_dtype_or_bit_gives_another_digest(other: dict[str, np.ndarray]) -> None:
    assert digest_outputs({"a": np.zeros(2)}) != digest_outputs(other)
