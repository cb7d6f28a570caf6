"""The time of a call must grow with the work if the reference's does."""

from __future__ import annotations

import pytest

from pytest_duet.errors import Refused
from pytest_duet.validate.growth import check_growth


@pytest.mark.parametrize(("grown", "reference"), [(1.2, 8.0), (8.0, 8.0), (0.9, 1.9), (1.0, 1.0)])
def test_a_member_passes_if_its_time_grows_or_the_references_does_not(grown: float, reference: float) -> None:
    assert check_growth([grown], reference, name="tch") == grown


@pytest.mark.parametrize(("grown", "reference"), [(1.19, 2.0), (0.5, 8.0)])
def test_a_member_whose_time_does_not_grow_is_refused_if_the_references_does(grown: float, reference: float) -> None:
    with pytest.raises(Refused) as caught:
        check_growth([grown], reference, name="tch")
    expected = f"time of tch does not grow with work: {grown:.2f} times as long for eight times the work"
    assert f"{expected}, the reference {reference:.2f} times" == str(caught.value)


def test_growth_in_a_later_attempt_is_enough_and_ends_the_attempts() -> None:
    attempts = iter([1.02, 1.5, 8.0])

    assert check_growth(attempts, 8.0, name="tch") == 1.5
    assert list(attempts) == [8.0]


def test_a_member_that_falls_short_in_every_attempt_is_refused_with_its_largest_growth() -> None:
    with pytest.raises(Refused, match=r"grow with work: 1\.10 times"):
        check_growth(iter([1.02, 1.1, 1.05]), 8.0, name="tch")
