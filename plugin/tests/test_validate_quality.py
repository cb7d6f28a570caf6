"""Outputs whose quality breaks a limit are refused, and the quality is saved in any case."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytest_duet.binding.member import Member
from pytest_duet.errors import Invalid, Refused
from pytest_duet.spec.group import Limits
from pytest_duet.validate.quality import check_quality

from .fakes.groups import called

LIMITS = Limits(floor={"r2": 0.5}, ceiling={"rmse": 2.0})
VARYING = {"x": np.array([1.0, 2.0])}


def model() -> float:
    return 1.0


def _member() -> Member:
    return Member(called(model).spec.member("model"))


def _check(member: Member, values: dict[str, float], outputs: dict[str, Any] = VARYING, **changes: Any) -> None:
    """Check the `outputs` of `member`, whose quality is `values`."""
    group = replace(called(model, limits=LIMITS, **changes), quality=lambda *_: values)
    check_quality(member, group, outputs, group.data_set())


def test_a_quality_within_its_limits_passes_and_is_saved_with_them() -> None:
    member = _member()
    _check(member, {"r2": 0.5, "rmse": 2.0, "f1": 0.1})
    assert [("r2", 0.5, 0.5, None), ("rmse", 2.0, None, 2.0), ("f1", 0.1, None, None)] == [
        (each.metric, each.value, each.floor, each.ceiling) for each in member.quality
    ]


@pytest.mark.parametrize(
    ("values", "error", "why"),
    [
        ({"r2": 0.4, "rmse": 1.0}, Refused, "quality r2 0.4 is below its floor of 0.5"),
        ({"r2": 0.6, "rmse": 2.1}, Refused, "quality rmse 2.1 is above its ceiling of 2"),
        ({"r2": 0.6}, Refused, "quality rmse has a limit and was not computed"),
        ({"r2": math.nan, "rmse": 1.0}, Invalid, "quality r2 is not a number"),
    ],
)
def test_a_quality_beyond_a_limit_is_refused_and_saved(values: dict, error: type[Exception], why: str) -> None:
    member = _member()
    with pytest.raises(error, match=why):
        _check(member, values)
    assert list(values) == [each.metric for each in member.quality]


def test_constant_outputs_are_refused_before_their_quality_is_judged() -> None:
    with pytest.raises(Refused, match="the output is constant"):
        _check(_member(), {"r2": 1.0, "rmse": 0.0}, {"x": np.ones(3), "labels": np.array([1, 2])})
    _check(_member(), {"r2": 1.0, "rmse": 0.0}, {"x": np.ones(3), "y": np.arange(3.0)})


def test_a_group_that_is_not_judged_has_no_quality() -> None:
    member = _member()
    _check(member, {"r2": 0.0}, judged=False)
    assert [] == member.quality


def test_a_quality_that_cannot_be_computed_is_invalid() -> None:
    def fails(*_: object) -> dict[str, float]:
        raise KeyError("coef")

    group = replace(called(model), quality=fails)
    with pytest.raises(Invalid, match="quality cannot be computed from the outputs: 'coef'"):
        check_quality(_member(), group, VARYING, group.data_set())
