"""Names match patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.spec.selectors import matches, unmatched


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "anything", True),
        ("native*", "native.gram", True),
        ("native", "native.gram", False),
        (["a", "b"], "b", True),
        (["a", "b"], "c", False),
        ([], "a", False),
        ("Train", "train", False),
    ],
)
def test_patterns_have_wildcards_and_lists(pattern: str | list[str], name: str, *, expected: bool) -> None:
    assert expected is matches(pattern, name)


@given(st.text())
def test_a_name_always_matches_itself(name: str) -> None:
    assert matches(name, name)


def test_a_pattern_without_match_is_reported_with_the_nearest_name() -> None:
    names = ["regression/fit/native", "cnn/train/tch"]
    assert ["--margin: no case is called 'regresion/fit/native'; did you mean 'regression/fit/native'?"] == unmatched(
        "--margin", ["cnn/*", "regresion/fit/native"], names
    )
