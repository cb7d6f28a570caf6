"""Check the quality of a member's outputs against the limits of the spec."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pytest_duet.errors import Invalid, Refused
from pytest_duet.records.schema import Bound
from pytest_duet.values import from_number, to_number

if TYPE_CHECKING:
    from pytest_duet.binding.bind import Arrays, BoundGroup
    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.binding.member import Member


def check_quality(member: Member, group: BoundGroup, outputs: Arrays, files: DataSet) -> None:
    """Refuse outputs whose quality breaks a limit; `member` keeps the measured quality in any case.

    Raises:
        Refused: a metric breaks its limit or is missing, or all outputs are constant.
        Invalid: a metric is not a number.
    """
    if group.quality is None or not group.spec.judged:
        return
    varying = [array for array in outputs.values() if array.size > 1 and array.dtype.kind == "f"]
    if varying and all(np.ptp(array) == 0 for array in varying):
        raise Refused("the output is constant; a model whose answer is always the same is no model")
    values, limits = group.qualities(outputs, files.arrays), group.spec.limits
    floor, ceiling = limits.floor, limits.ceiling
    member.quality = [
        Bound(metric=name, value=to_number(float(value)), floor=floor.get(name), ceiling=ceiling.get(name))
        for name, value in values.items()
    ]
    missing = (floor.keys() | ceiling.keys()) - values.keys()
    if missing:
        raise Refused(f"quality {', '.join(sorted(missing))} has a limit and was not computed")
    for bound in member.quality:
        value = from_number(bound.value)
        if math.isnan(value):
            raise Invalid(f"quality {bound.metric} is not a number, which is worse than any floor")
        if bound.floor is not None and value < bound.floor:
            raise Refused(f"quality {bound.metric} {value:.4g} is below its floor of {bound.floor:g}")
        if bound.ceiling is not None and value > bound.ceiling:
            raise Refused(f"quality {bound.metric} {value:.4g} is above its ceiling of {bound.ceiling:g}")
