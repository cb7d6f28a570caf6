"""The tree of exceptions, and the hint at the end of a message about an unknown name."""

from __future__ import annotations

from typing import get_args

import pytest

from pytest_duet import errors
from pytest_duet.errors import MemberError, SpecError, StoreError, nearest, reason_of
from pytest_duet.vocabulary import Status


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("epocs", ["epochs", "batch_size"], "; did you mean 'epochs'?"),
        ("zzz", ["epochs", "batch_size"], "; known: batch_size, epochs"),
        ("zzz", [], "; known: none"),
        ("smok", {"smoke": 1, "full": 2}, "; did you mean 'smoke'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(name: str, known: list[str], expected: str) -> None:
    assert expected == nearest(name, known)


def test_every_member_error_has_a_known_status() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MemberError)]
    assert len(kinds) > 5
    assert set() == {kind.status for kind in kinds} - set(get_args(Status))


def test_no_member_error_has_the_status_ok() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MemberError)]
    assert "ok" not in {kind.status for kind in kinds}


def test_control_characters_in_a_file_name_are_replaced() -> None:
    assert str(StoreError("\x1b[31mred\x1b]0;title\x07.json: is no run")) == "?[31mred?]0;title?.json: is no run"


def test_the_reason_of_a_foreign_error_names_its_type() -> None:
    assert ("rename it", "KeyError: 'x'") == (reason_of(SpecError("rename it")), reason_of(KeyError("x")))
