"""One tree of exceptions, and the hint that ends a message about a wrong name."""

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
def test_a_wrong_name_is_answered_with_the_nearest_or_with_all(name: str, known: list[str], expected: str) -> None:
    assert expected == nearest(name, known)


def test_every_error_of_a_member_has_a_status_that_records_know() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MemberError)]
    assert len(kinds) > 5
    assert set() == {kind.status for kind in kinds} - set(get_args(Status))


def test_no_error_of_a_member_is_recorded_as_ok() -> None:
    kinds = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, MemberError)]
    assert "ok" not in {kind.status for kind in kinds}


def test_what_a_file_is_called_moves_no_cursor() -> None:
    assert str(StoreError("\x1b[31mred\x1b]0;title\x07.json: is no run")) == "?[31mred?]0;title?.json: is no run"


def test_an_error_that_is_not_ours_is_told_with_its_kind() -> None:
    assert ("rename it", "KeyError: 'x'") == (reason_of(SpecError("rename it")), reason_of(KeyError("x")))
