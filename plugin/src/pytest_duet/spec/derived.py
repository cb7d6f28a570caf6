"""Specs that follow from a group's spec: less work, another setting, a ladder of stop rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pytest_duet.errors import SpecError, nearest
from pytest_duet.spec.group import ConvergenceSpec, EffectSpec, GroupSpec, Limits
from pytest_duet.spec.suite import applying

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_duet.ids import GroupKey
    from pytest_duet.spec.schema import Task
    from pytest_duet.values import Scalar

LESS_WORK: Final = 8
"""The time of a call must grow with so many times the work."""


def with_rules(spec: GroupSpec, path: Path, task: Task, key: GroupKey) -> GroupSpec:
    """Return `spec` with the scaling, effect and convergence rules that `task`, read from `path`, has for it.

    Raises:
        SpecError: a rule names a parameter that the group does not have.

    """
    growth = applying(task.growth, key, task.reference, spec.profile)
    if growth:
        spec = msgspec.structs.replace(spec, divide=growth[-1].divide)
        _check_divides(spec, path)
    effects = []
    for rule in applying(task.effect, key, task.reference, spec.profile):
        before = _number(spec, path, "effect", rule.param)
        after = type(before)(before * rule.factor)
        if after == before:
            raise SpecError(f"{path}: [[effect]] {rule.param!r} stays {before!r} when multiplied by {rule.factor:g}")
        effects.append(EffectSpec(rule.param, rule.factor, after))
    convergence = None
    for last in applying(task.convergence, key, task.reference, spec.profile)[-1:]:
        kind = type(_number(spec, path, "convergence", last.param))
        limits = Limits(last.floor, last.ceiling)
        convergence = ConvergenceSpec(last.param, tuple(kind(value) for value in last.values), last.gap, limits)
    return msgspec.structs.replace(spec, effects=tuple(effects), convergence=convergence)


def smaller(spec: GroupSpec) -> GroupSpec:
    """Return `spec` with an eighth of the work: of the parameter it divides, in the data and in every job."""
    divided = (msgspec.structs.replace(each, params=_eighth(each.params, spec.divide)) for each in spec.members)
    data = msgspec.structs.replace(spec.data, params=_eighth(spec.data.params, spec.divide))
    return msgspec.structs.replace(spec, data=data, members=tuple(divided))


def with_effect(spec: GroupSpec, effect: EffectSpec) -> GroupSpec:
    """Return `spec` with the parameter of `effect` at its other value."""
    return _with_param(spec, effect.param, effect.value)


def convergence_steps(spec: GroupSpec) -> tuple[GroupSpec, ...]:
    """Return `spec` with each stop rule of its convergence, from the loosest to the strictest; none where it has none."""
    if spec.convergence is None:
        return ()
    return tuple(_with_param(spec, spec.convergence.param, value) for value in spec.convergence.values)


def _with_param(spec: GroupSpec, name: str, value: float) -> GroupSpec:
    """Return `spec` with job parameter `name` at `value` for every member that has it."""
    members = (
        msgspec.structs.replace(each, params={**each.params, name: value}) if name in each.params else each
        for each in spec.members
    )
    return msgspec.structs.replace(spec, members=tuple(members))


def _number(spec: GroupSpec, path: Path, table: str, name: str) -> float:
    """Return job parameter `name` of the reference."""
    params = spec.member(spec.reference).params
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{path}: [[{table}]] param {name!r} is no number of {spec.id}{nearest(name, params)}")
    return value


def _eighth(params: Mapping[str, Scalar], name: str) -> dict[str, Scalar]:
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        return {**params}
    return {**params, name: max(1, value // LESS_WORK)}


def _check_divides(spec: GroupSpec, path: Path) -> None:
    if smaller(spec) == spec:
        names = sorted({*spec.data.params, *(name for member in spec.members for name in member.params)})
        msg = f"{path}: [[growth]] divide {spec.divide!r} is no integer of {spec.id}{nearest(spec.divide, names)}"
        raise SpecError(msg)


class Derived(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The specs that checking and measuring a group need besides its own."""

    checkpoint: GroupSpec | None
    smaller: GroupSpec | None
    effects: tuple[GroupSpec, ...]
    convergence: tuple[GroupSpec, ...]


class PlannedSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group's spec with those derived from it, as ``duet plan --json`` prints them."""

    spec: GroupSpec
    derived: Derived


def planned(spec: GroupSpec) -> PlannedSpec:
    """Return `spec` with all that is derived from it."""
    derived = Derived(
        checkpoint=spec.checkpoint.training if spec.checkpoint else None,
        smaller=smaller(spec) if spec.divide else None,
        effects=tuple(with_effect(spec, effect) for effect in spec.effects),
        convergence=convergence_steps(spec),
    )
    return PlannedSpec(spec, derived)
