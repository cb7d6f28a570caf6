"""Resolve spec files into group specs: the members of a group, their parameters and their checks.

This imports nothing of a task; ``binding`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from pytest_duet.digests import folder_digest
from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import GroupKey, framework_of, replaced_suffix, variant_of
from pytest_duet.spec.derived import with_rules
from pytest_duet.spec.group import CheckpointSpec, DataSpec, GroupSpec, Limits, MemberSpec, ModelSpec
from pytest_duet.spec.selectors import matches
from pytest_duet.spec.suite import applying, member_names, selects
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

    `data` replaces parameters of the recipe and `seed` the workload's seed; replacements become part of the group's id.
    `models` maps tasks to folders of a user's model: the recipe gets the model, and the group has no limits of quality.

    Raises:
        SpecError: a rule does not fit the group, or the task takes no model.
        DataError: the model's folder is unusable.
    """
    task, models = suite.tasks[key.task], models or {}
    workload = task.workloads[key.workload]
    replaced = {**(data or {}), **({} if seed is None else {"seed": seed})}
    model = _model(suite, key, models)
    shown = replace(key, workload=f"{key.workload}@model={model.digest[:8]}") if model else key
    recipe_seed = workload.seed if seed is None else seed
    recipe_params = _for_json({**workload.data, **workload.profiles.get(profile, {}), **(data or {})})
    names = member_names(task, key.algorithm, key.phase, key.workload, profile)
    checkpoint = None
    if task.checkpoint and (training := _training(suite, key, models)):
        trained = group_spec(
            suite, training, profile, threads=threads, device=device, data=data, seed=seed, models=models
        )
        checkpoint = CheckpointSpec(task.checkpoint.prefix, trained)
    spec = GroupSpec(
        id=f"{shown}{replaced_suffix(replaced)}",
        task=key.task,
        algorithm=key.algorithm,
        phase=key.phase,
        workload=shown.workload,
        reference=task.reference,
        members=tuple(_member(suite, key, name, profile, names) for name in names),
        dtype=task.dtype,
        profile=profile,
        budget=suite.profiles[profile],
        data=DataSpec(recipe_params, recipe_seed, model),
        seed=recipe_seed,
        threads=threads,
        device=device,
        margin=task.margin,
        margins={name: rules[-1].margin for name in names if (rules := applying(task.margins, key, name, profile))},
        limits=Limits() if model else _limits(task, key, profile),
        checkpoint=checkpoint,
    )
    return with_rules(spec, suite.benches / key.task / "task.toml", task, key)


def check_model(suite: Suite, name: str) -> None:
    """Check that there is a task `name` which takes a user's own model.

    Raises:
        SpecError: there is none.
    """
    if name not in suite.tasks:
        raise SpecError(f"--duet-model: unknown task {name!r}{nearest(name, suite.tasks)}")
    if suite.tasks[name].model is None:
        takers = ", ".join(each for each, task in suite.tasks.items() if task.model) or "none"
        why = "its task.toml has no [model]"
        raise SpecError(f"--duet-model: task {name} takes no model ({why}); those that do: {takers}")


def _model(suite: Suite, key: GroupKey, models: Mapping[str, Path]) -> ModelSpec | None:
    """Return the user's model that one group runs on, None if it runs on the suite's own."""
    if key.task not in models:
        return None
    check_model(suite, key.task)
    model, folder = suite.tasks[key.task].model, models[key.task]
    if not model or not selects(model, algorithms=key.algorithm, phases=key.phase, workloads=key.workload):
        return None
    return ModelSpec(str(folder), folder_digest(folder, model.files))


def _training(suite: Suite, key: GroupKey, models: Mapping[str, Path]) -> GroupKey | None:
    """Return the group that trains the checkpoint of another, None if it needs none."""
    checkpoint = suite.tasks[key.task].checkpoint
    if not checkpoint or not matches(checkpoint.phase, key.phase):
        return None
    algorithm, workload = checkpoint.algorithm or key.algorithm, checkpoint.workload or key.workload
    training = GroupKey(key.task, algorithm, checkpoint.trained_by, workload)
    # A user's model that training starts from is not a checkpoint yet; any other is one.
    return None if _model(suite, key, models) and not _model(suite, training, models) else training


def _limits(task: Task, key: GroupKey, profile: str) -> Limits:
    rules = applying(task.quality, key, task.reference, profile)
    return Limits(
        floor={metric: least for rule in rules for metric, least in rule.floor.items()},
        ceiling={metric: most for rule in rules for metric, most in rule.ceiling.items()},
    )


def _member(suite: Suite, key: GroupKey, name: str, profile: str, present: list[str]) -> MemberSpec:
    task, framework = suite.tasks[key.task], framework_of(name)
    case = key, name, profile
    params = {each: value for rule in applying(task.params, *case) for each, value in rule.set.items()}
    quality = {each: value for rule in applying(task.quality, *case) for each, value in rule.params.items()}
    unsound = applying(task.unsound, *case)
    against = task.members[name].against
    return MemberSpec(
        name=name,
        framework=framework,
        variant=variant_of(name),
        role=task.members[name].role,
        language=suite.frameworks[framework].language,
        params=_for_json(params),
        quality_params=_for_json({**params, **quality}) if quality else None,
        parity=tuple(applying(task.parity, *case)),
        unsound=unsound[-1].reason if unsound else "",
        reproducer=unsound[-1].reproducer if unsound else "",
        # In a group without that member, the reference takes its place.
        against=against if against in present else "",
    )


def _for_json(params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Return `params` with infinity and NaN in the form that JSON can hold."""
    return {name: to_number(value) if isinstance(value, float) else value for name, value in params.items()}
