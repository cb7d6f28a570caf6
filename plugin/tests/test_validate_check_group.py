"""Members are checked against the reference before they are timed, and one that fails does not stop the others."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.errors import Refused
from pytest_duet.spec.group import EffectSpec
from pytest_duet.validate.check_group import check_kept, check_members

from .fakes.groups import called

if TYPE_CHECKING:
    from collections.abc import Callable


def honest(alpha=1.0):
    return np.array([1.0, 2.0]) * alpha


def twin(alpha=1.0):
    return np.array([1.0, 2.0]) * alpha


def wrong(alpha=1.0):
    return np.array([1.0, 2.5]) * alpha


def broken(alpha=1.0):
    raise OSError("broken")


def deaf(alpha=1.0):
    return np.array([1.0, 2.0])


_COUNT = itertools.count()


def fickle():
    return np.array([next(_COUNT)])


def _checked(*functions: Callable[..., Any], **changes: Any) -> LiveGroup:
    with LiveGroup(called(*functions, **changes), [each.__name__ for each in functions]) as live:
        check_members(live)
    return live


def _reasons(live: LiveGroup) -> list[tuple[str, str]]:
    return [(each.status, each.reason) for each in live.members.values()]


def test_a_member_with_the_references_outputs_passes() -> None:
    live = _checked(honest, twin)
    assert [("ok", "")] * 2 == _reasons(live)
    (record,) = live.members["twin"].parity
    assert ("result", True, 0.0) == (record.output, record.passed, record.error)
    assert [] == live.reference.parity
    assert live.members["twin"].first_call_ns


def test_a_member_that_fails_does_not_stop_the_others() -> None:
    ok, wrong_one, raised, last = _reasons(_checked(honest, wrong, broken, twin))
    assert ("ok", "ok", "failed") == (ok[0], last[0], wrong_one[0])
    assert "parity with honest failed: output 'result': close error 0.25 is over 1e-09" == wrong_one[1]
    assert ("failed", True) == (raised[0], "OSError: broken" in raised[1])


def test_the_rivals_of_a_failed_reference_are_skipped() -> None:
    (failed, _), rival = _reasons(_checked(broken, twin))
    assert "failed" == failed
    assert ("skipped", "not comparable: reference broken failed") == rival


def test_a_reference_must_agree_with_itself() -> None:
    ((status, reason),) = _reasons(_checked(fickle))
    assert ("failed", True) == (status, reason.startswith("the reference does not agree with itself: output 'result'"))


def test_an_unsound_member_is_skipped_with_its_own_reason_even_if_the_reference_failed() -> None:
    for reference in (honest, broken):
        assert ("skipped", "not comparable: never stops") == _reasons(_checked(reference, twin, unsound="never stops"))[
            1
        ]


def test_a_member_that_ignores_a_parameter_is_refused() -> None:
    effects = (EffectSpec("alpha", 10.0, 10.0),)
    live = _checked(honest, twin, deaf, params={"alpha": 1.0}, effects=effects)
    why = "alpha has no effect: 10 times as large, it leaves every output within its tolerance"
    assert [("ok", ""), ("ok", ""), ("failed", why)] == _reasons(live)


def test_a_kept_round_with_other_outputs_is_refused_and_its_parity_saved() -> None:
    live = _checked(honest, twin)
    member = live.members["twin"]
    check_kept(live, member, {"result": np.array([1.0, 2.0])})
    with pytest.raises(Refused, match="a timed round gave another answer than the check: output 'result'"):
        check_kept(live, member, {"result": np.array([1.0, 3.0])})
    assert [False] == [record.passed for record in member.parity]
