"""Non-finite numbers have names in JSON."""

from __future__ import annotations

import math

import pytest

from pytest_duet.values import NonFinite, from_number, to_number


@pytest.mark.parametrize(("value", "word"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
def test_a_number_that_json_cannot_hold_is_carried_by_its_name(value: float, word: str) -> None:
    assert NonFinite(word) == to_number(value)
    assert repr(value) == repr(from_number(NonFinite(word)))
