"""Derive specs from a group's spec: less work, a changed parameter, one spec for each stop rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from pytest_duet.errors import SpecError, nearest
from pytest_duet.spec.group import ConvergenceSpec, EffectSpec, GroupSpec, Limits
from pytest_duet.spec.schema import Spec
from pytest_duet.spec.suite import applying

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_duet.ids import GroupKey
    from pytest_duet.spec.schema import Task
    from pytest_duet.values import Scalar

LESS_WORK: Final = 8
"""The scaling check divides the work by this."""


def with_rules(spec: GroupSpec, path: Path, task: Task, key: GroupKey) -> GroupSpec:
    """Return `spec` with the scaling, effect and convergence rules of `task`, which was read from `path`.

    Raises:
        SpecError: a rule names a parameter that the group does not have.
    """
    case = key, task.reference, spec.profile
    for growth in applying(task.growth, *case)[-1:]:
        spec = replace(spec, divide=growth.divide)
        if smaller(spec) == spec:
            names = sorted({*spec.data.params, *(name for member in spec.members for name in member.params)})
            hint = nearest(growth.divide, names)
            raise SpecError(f"{path}: [[growth]] divide {growth.divide!r} is not an integer of {spec.id}{hint}")
    effects = []
    for rule in applying(task.effect, *case):
        before = _number(spec, path, "effect", rule.param)
        after = type(before)(before * rule.factor)
        if after == before:
            raise SpecError(f"{path}: [[effect]] {rule.param!r} stays {before!r} when multiplied by {rule.factor:g}")
        effects.append(EffectSpec(rule.param, rule.factor, after))
    convergence = None
    for last in applying(task.convergence, *case)[-1:]:
        kind = type(_number(spec, path, "convergence", last.param))
        limits = Limits(last.floor, last.ceiling)
        convergence = ConvergenceSpec(last.param, tuple(kind(value) for value in last.values), last.gap, limits)
    return replace(spec, effects=tuple(effects), convergence=convergence)


def smaller(spec: GroupSpec) -> GroupSpec:
    """Return `spec` with parameter `divide` divided by `LESS_WORK`, in the data and in every job."""
    members = tuple(replace(each, params=_divided(each.params, spec.divide)) for each in spec.members)
    return replace(spec, data=replace(spec.data, params=_divided(spec.data.params, spec.divide)), members=members)


def convergence_steps(spec: GroupSpec) -> tuple[GroupSpec, ...]:
    """Return `spec` with each stop rule of its convergence, from the loosest to the strictest; empty without one."""
    rule = spec.convergence
    return tuple(with_param(spec, rule.param, value) for value in rule.values) if rule else ()


def with_param(spec: GroupSpec, name: str, value: float) -> GroupSpec:
    """Return `spec` with job parameter `name` at `value` for every member that has it."""
    members = (
        replace(each, params={**each.params, name: value}) if name in each.params else each for each in spec.members
    )
    return replace(spec, members=tuple(members))


def _number(spec: GroupSpec, path: Path, table: str, name: str) -> float:
    """Return job parameter `name` of the reference."""
    params = spec.member(spec.reference).params
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{path}: [[{table}]] param {name!r} is not a number of {spec.id}{nearest(name, params)}")
    return value


def _divided(params: Mapping[str, Scalar], name: str) -> dict[str, Scalar]:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return {**params}
    return {**params, name: max(1, value // LESS_WORK)}


class Derived(Spec, frozen=True):
    """The further specs that checking and measuring a group need."""

    checkpoint: GroupSpec | None
    smaller: GroupSpec | None
    effects: tuple[GroupSpec, ...]
    convergence: tuple[GroupSpec, ...]


class PlannedSpec(Spec, frozen=True):
    """A group's spec with its derived specs, as ``duet plan --json`` prints them."""

    spec: GroupSpec
    derived: Derived


def planned(spec: GroupSpec) -> PlannedSpec:
    """Return `spec` with everything derived from it."""
    derived = Derived(
        checkpoint=spec.checkpoint.training if spec.checkpoint else None,
        smaller=smaller(spec) if spec.divide else None,
        effects=tuple(with_param(spec, effect.param, effect.value) for effect in spec.effects),
        convergence=convergence_steps(spec),
    )
    return PlannedSpec(spec, derived)
