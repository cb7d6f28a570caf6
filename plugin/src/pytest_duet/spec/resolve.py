"""From spec files to group specs: the members of a group, the parameters each gets, the checks it must pass.

Only spec files are read. Nothing of a task is imported: that is for ``binding``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pytest_duet.digests import folder_digest
from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import GroupKey, framework_of, replaced_suffix, variant_of
from pytest_duet.spec.derived import with_rules
from pytest_duet.spec.group import CheckpointSpec, DataSpec, GroupSpec, Limits, MemberSpec, ModelSpec
from pytest_duet.spec.selectors import matches
from pytest_duet.spec.suite import applying, member_names
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_duet.spec.schema import Task
    from pytest_duet.spec.suite import Suite
    from pytest_duet.values import Scalar


def group_spec(
    suite: Suite,
    key: GroupKey,
    profile: str,
    *,
    threads: int = 1,
    device: str = "cpu",
    data: Mapping[str, Scalar] | None = None,
    seed: int | None = None,
    models: Mapping[str, Path] | None = None,
) -> GroupSpec:
    """Return the spec of one group.

    `data` replaces parameters of the recipe, `seed` the workload's; what is replaced becomes part of the group's id.
    `models` are folders by task: where the task takes a model, the recipe gets it, and no limit of quality holds.

    Raises:
        SpecError: a rule does not fit the group, or the task takes no model.
        DataError: the model's folder cannot be used.

    """
    task = suite.tasks[key.task]
    workload = task.workloads[key.workload]
    replaced = {**(data or {}), **({} if seed is None else {"seed": seed})}
    model = _model(suite, key, models or {})
    shown = msgspec.structs.replace(key, workload=f"{key.workload}@model={model.digest[:8]}") if model else key
    drawn_by = workload.seed if seed is None else seed
    names = member_names(task, key.algorithm, key.phase, key.workload, profile)
    spec = GroupSpec(
        id=f"{shown}{replaced_suffix(replaced)}",
        task=key.task,
        algorithm=key.algorithm,
        phase=key.phase,
        workload=shown.workload,
        reference=task.reference,
        members=tuple(_member(suite, key, name, profile) for name in names),
        dtype=task.dtype,
        profile=profile,
        budget=suite.profiles[profile],
        data=DataSpec(
            params=_for_json({**workload.data, **workload.profiles.get(profile, {}), **(data or {})}),
            seed=drawn_by,
            model=model,
        ),
        seed=drawn_by,
        threads=threads,
        device=device,
        margin=task.margin,
        margins={name: rules[-1].margin for name in names if (rules := applying(task.margins, key, name, profile))},
        limits=Limits() if model else _limits(task, key, profile),
    )
    training = _training(suite, key, models or {})
    if task.checkpoint and training:
        trained = group_spec(
            suite, training, profile, threads=threads, device=device, data=data, seed=seed, models=models
        )
        spec = msgspec.structs.replace(spec, checkpoint=CheckpointSpec(task.checkpoint.prefix, trained))
    return with_rules(spec, suite.benches / key.task / "task.toml", task, key)


def check_model(suite: Suite, name: str) -> None:
    """Raise SpecError where there is no task `name`, or it takes no model of the user's."""
    if name not in suite.tasks:
        raise SpecError(f"--duet-model: unknown task {name!r}{nearest(name, suite.tasks)}")
    if suite.tasks[name].model is None:
        takers = ", ".join(each for each, task in suite.tasks.items() if task.model) or "none"
        raise SpecError(
            f"--duet-model: task {name} takes no model (its task.toml has no [model]); those that do: {takers}"
        )


def _model(suite: Suite, key: GroupKey, models: Mapping[str, Path]) -> ModelSpec | None:
    """Return the user's model that one group runs on, None where it runs on the suite's own."""
    if key.task not in models:
        return None
    check_model(suite, key.task)
    taken = suite.tasks[key.task].model
    assert taken is not None
    stands = (
        matches(taken.algorithms, key.algorithm)
        and matches(taken.phases, key.phase)
        and matches(taken.workloads, key.workload)
    )
    folder = models[key.task]
    return ModelSpec(str(folder), folder_digest(folder, taken.files)) if stands else None


def _training(suite: Suite, key: GroupKey, models: Mapping[str, Path]) -> GroupKey | None:
    """Return the group that trains the checkpoint of another, None where it needs none."""
    checkpoint = suite.tasks[key.task].checkpoint
    if not checkpoint or not matches(checkpoint.phase, key.phase):
        return None
    training = GroupKey(
        key.task,
        checkpoint.algorithm or key.algorithm,
        checkpoint.trained_by,
        checkpoint.workload or key.workload,
    )
    # A user's model that training starts from is no checkpoint yet; any other is one.
    return None if _model(suite, key, models) and not _model(suite, training, models) else training


def _limits(task: Task, key: GroupKey, profile: str) -> Limits:
    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}
    for rule in applying(task.quality, key, task.reference, profile):
        floor.update(rule.floor)
        ceiling.update(rule.ceiling)
    return Limits(floor, ceiling)


def _member(suite: Suite, key: GroupKey, name: str, profile: str) -> MemberSpec:
    task = suite.tasks[key.task]
    framework, against = framework_of(name), task.members[name].against
    params: dict[str, Scalar] = {}
    for rule in applying(task.params, key, name, profile):
        params.update(rule.set)
    quality: dict[str, Scalar] = {}
    for quality_rule in applying(task.quality, key, name, profile):
        quality.update(quality_rule.params)
    unsound = applying(task.unsound, key, name, profile)
    return MemberSpec(
        name=name,
        framework=framework,
        variant=variant_of(name),
        role=task.members[name].role,
        language=suite.frameworks[framework].language,
        params=_for_json(params),
        quality_params=_for_json({**params, **quality}) if quality else None,
        parity=tuple(applying(task.parity, key, name, profile)),
        unsound=unsound[-1].reason if unsound else "",
        reproducer=unsound[-1].reproducer if unsound else "",
        # Where the other does not stand, the reference does.
        against=against if against in member_names(task, key.algorithm, key.phase, key.workload, profile) else "",
    )


def _for_json(params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return `params` with infinity and NaN in the form that JSON can hold."""
    return {name: to_number(value) if isinstance(value, float) else value for name, value in params.items()}
