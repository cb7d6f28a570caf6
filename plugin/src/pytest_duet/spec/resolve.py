"""Turn a folder of spec files into plans: which groups there are, who is in them, what each is told.

Not for measuring them, and not for groups a user declares in code (``door``).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from pytest_duet.binding.datasets import DataSet, folder_digest, obtain, recipe_digest
from pytest_duet.errors import DataError, SpecError, nearest
from pytest_duet.ids import GroupKey, framework_of, replaced_suffix, variant_of
from pytest_duet.spec.group import Convergence, Effect, Gap, GroupSpec, Limits, MemberSpec
from pytest_duet.spec.imports import with_those_beside
from pytest_duet.spec.launch import start
from pytest_duet.spec.schema import (
    Framework,
    Profile,
    Task,
    load_frameworks,
    load_profiles,
    load_task,
)
from pytest_duet.spec.selectors import matches
from pytest_duet.workers.python import load_module

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_duet.protocol import Scalar
    from pytest_duet.spec.schema import ConvergenceRule, EffectRule, Rule

_RuleT = TypeVar("_RuleT", bound="Rule")

MODEL: Final = "model"
"""What a recipe is told a user's own model by: the folder it lies in."""


@dataclass(frozen=True)
class Suite:
    """All spec files below `benches`; `project` is the folder workers and crates are found from."""

    benches: Path
    frameworks: Mapping[str, Framework]
    profiles: Mapping[str, Profile]
    tasks: Mapping[str, Task]

    @property
    def project(self) -> Path:
        """The folder that holds `benches`."""
        return self.benches.parent


@dataclass(frozen=True)
class _Model:
    """A user's own model: where it lies, and the digest of the files that are read of it."""

    folder: Path
    digest: str


@cache
def load_suite(benches: Path) -> Suite:
    """Return the suite in folder `benches`.

    Raises:
        SpecError: a file cannot be used, or names a framework that `frameworks.toml` does not have.

    """
    suite = Suite(
        benches=benches,
        frameworks=load_frameworks(benches / "frameworks.toml"),
        profiles=load_profiles(benches / "profiles.toml"),
        tasks={path.parent.name: load_task(path) for path in sorted(benches.glob("*/task.toml"))},
    )
    for name, task in suite.tasks.items():
        for member in task.members:
            framework = framework_of(member)
            if framework not in suite.frameworks:
                where = f"{benches / name / 'task.toml'}: [members.{member}]"
                raise SpecError(f"{where} names framework {framework!r}{nearest(framework, suite.frameworks)}")
        _check_profiles(f"{benches / name / 'task.toml'}", task, suite.profiles)
        for workload, entry in task.workloads.items():
            for profile in entry.profiles:
                if profile not in suite.profiles:
                    where = f"{benches / name / 'task.toml'}: [workloads.{workload}.profiles]"
                    raise SpecError(f"{where} names profile {profile!r}{nearest(profile, suite.profiles)}")
    return suite


def _check_profiles(path: str, task: Task, known: Mapping[str, Profile]) -> None:
    """Hold everything that selects profiles against the profiles there are."""
    selectors = [(f"[members.{name}] profiles", member.profiles) for name, member in task.members.items()]
    for table, rules in task.rules.items():
        selectors += [(f"[{table}[{index}]] profile", rule.profile) for index, rule in enumerate(rules)]
    for where, patterns in selectors:
        for each in [patterns] if isinstance(patterns, str) else patterns:
            if not any(matches(each, profile) for profile in known):
                raise SpecError(f"{path}: {where} {each!r} names nothing{nearest(each, known)}")


def group_keys(task_name: str, task: Task) -> list[GroupKey]:
    """Return every group of a task, in the order of its spec."""
    return [
        GroupKey(task_name, algorithm, phase, workload)
        for algorithm, entry in task.algorithms.items()
        for phase in task.phases
        if matches(entry.phases, phase)
        for workload, data in task.workloads.items()
        if matches(data.algorithms, algorithm) and matches(data.phases, phase)
    ]


def member_names(task: Task, algorithm: str, phase: str, workload: str, profile: str) -> list[str]:
    """Return the members that stand in one group, in the order of the spec."""
    return [
        name
        for name, member in task.members.items()
        if matches(member.algorithms, algorithm)
        and matches(member.phases, phase)
        and matches(member.workloads, workload)
        and matches(member.profiles, profile)
    ]


def make_group(
    suite: Suite,
    key: GroupKey,
    profile: str,
    data_cache: Path,
    *,
    threads: int = 1,
    device: str = "cpu",
    data: Mapping[str, Scalar] | None = None,
    seed: int | None = None,
    models: Mapping[str, Path] | None = None,
) -> GroupSpec:
    """Return the plan of one group, with those it is checked by where the spec asks for them.

    `data` replaces what the recipe is told, `seed` the workload's; what is replaced becomes part of the group's id.
    `models` are folders by task: where the task takes one, the recipe is told of it, and no limit of quality holds.

    Raises:
        SpecError: the task's files cannot be used, or the task takes no model.
        DataError: the model's folder cannot be used.

    """
    task = suite.tasks[key.task]
    task_folder = suite.benches / key.task
    workload = task.workloads[key.workload]
    params = {**workload.data, **workload.profiles.get(profile, {}), **(data or {})}
    replaced = {**(data or {}), **({} if seed is None else {"seed": seed})}
    drawn_by = workload.seed if seed is None else seed
    model = _model(suite, key, models or {})
    workload_suffix = replaced_suffix({"model": model.digest[:8]} if model else {})
    size = getattr(load_module(task_folder, "data"), "size", None)
    names = member_names(task, key.algorithm, key.phase, key.workload, profile)
    plan = GroupSpec(
        id=f"{key}{workload_suffix}{replaced_suffix(replaced)}",
        task=key.task,
        algorithm=key.algorithm,
        phase=key.phase,
        workload=f"{key.workload}{workload_suffix}",
        workload_size=str(size(params)) if size and not model else "",
        reference=task.reference,
        members=tuple(_member(suite, key, name, profile, threads) for name in names),
        dtype=task.dtype,
        profile=profile,
        budget=suite.profiles[profile],
        data=_data(task_folder, params, drawn_by, data_cache, model),
        cache=data_cache,
        seed=drawn_by,
        threads=threads,
        device=device,
        margin=task.margin,
        margins={name: rules[-1].margin for name in names if (rules := applying(task.margins, key, name, profile))},
        limits=Limits() if model else _limits(task, key, profile),
        quality=load_module(task_folder, "quality").quality if (task_folder / "quality.py").exists() else None,
        checks=load_module(task_folder, "check").CHECKS if (task_folder / "check.py").exists() else {},
    )
    training = _training(suite, key, models or {})
    if task.checkpoint and training:
        trained = make_group(
            suite,
            training,
            profile,
            data_cache,
            threads=threads,
            device=device,
            data=data,
            seed=seed,
            models=models,
        )
        plan = dataclasses.replace(plan, checkpoint=trained, checkpoint_prefix=task.checkpoint.prefix)
    growth = applying(task.growth, key, task.reference, profile)
    if growth:
        small_data = _eighth(params, growth[-1].divide)
        smaller = dataclasses.replace(
            plan,
            data=_data(task_folder, small_data, drawn_by, data_cache, model),
            members=tuple(
                dataclasses.replace(each, params=_eighth(each.params, growth[-1].divide)) for each in plan.members
            ),
        )
        _check_growth(task_folder / "task.toml", growth[-1].divide, plan, smaller, params, small_data)
        plan = dataclasses.replace(plan, smaller=smaller)
    effects = applying(task.effect, key, task.reference, profile)
    convergence = applying(task.convergence, key, task.reference, profile)
    return dataclasses.replace(
        plan,
        effects=tuple(_effect(task_folder / "task.toml", rule, plan) for rule in effects),
        convergence=_convergence(task_folder, convergence[-1], plan) if convergence else None,
    )


def check_model(suite: Suite, name: str) -> None:
    """Hold the name of a task that a user has a model for against what there is.

    Raises:
        SpecError: there is no such task, or it takes no model.

    """
    if name not in suite.tasks:
        raise SpecError(f"--duet-model: unknown task {name!r}{nearest(name, suite.tasks)}")
    if suite.tasks[name].model is None:
        takers = ", ".join(each for each, task in suite.tasks.items() if task.model) or "none"
        raise SpecError(
            f"--duet-model: task {name} takes no model (its task.toml has no [model]); those that do: {takers}"
        )


def _model(suite: Suite, key: GroupKey, models: Mapping[str, Path]) -> _Model | None:
    """Return the user's model that one group is to run on, None where it runs on the suite's own."""
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
    return _Model(folder, folder_digest(folder, taken.files)) if stands else None


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


def _effect(path: Path, rule: EffectRule, plan: GroupSpec) -> Effect:
    before = _number(path, "effect", rule.param, plan)
    after = type(before)(before * rule.factor)
    if after == before:
        raise SpecError(f"{path}: [[effect]] {rule.param!r} stays {before!r} when multiplied by {rule.factor:g}")
    return Effect(rule.param, rule.factor, _told(plan, rule.param, after))


def _convergence(task_folder: Path, rule: ConvergenceRule, plan: GroupSpec) -> Convergence:
    kind = type(_number(task_folder / "task.toml", "convergence", rule.param, plan))
    plain = dataclasses.replace(plan, smaller=None)
    groups = tuple(_told(plain, rule.param, kind(value)) for value in rule.values)
    return Convergence(_goal(task_folder, rule), rule.param, tuple(rule.values), groups)


def _goal(task_folder: Path, rule: ConvergenceRule) -> Gap | Limits:
    wanted = "quality" if rule.gap is None else "objective"
    function = (
        getattr(load_module(task_folder, "quality"), wanted, None) if (task_folder / "quality.py").exists() else None
    )
    if function is None:
        raise SpecError(f"{task_folder / 'quality.py'}: [[convergence]] needs a function {wanted} there; write one")
    return Limits(rule.floor, rule.ceiling) if rule.gap is None else Gap(rule.gap, function)


def _number(path: Path, table: str, name: str, plan: GroupSpec) -> float:
    """Return job parameter `name` as the reference is told it."""
    params = plan.member(plan.reference).params
    value = params.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(f"{path}: [[{table}]] param {name!r} is no number of {plan.id}{nearest(name, params)}")
    return value


def _told(plan: GroupSpec, name: str, value: float) -> GroupSpec:
    """Return `plan` with every member that has job parameter `name` told `value`."""
    members = (
        dataclasses.replace(each, params={**each.params, name: value}) if name in each.params else each
        for each in plan.members
    )
    return dataclasses.replace(plan, members=tuple(members))


def _eighth(params: Mapping[str, Scalar], name: str) -> dict[str, Scalar]:
    value = params.get(name)
    return (
        {**params, name: max(1, value // 8)} if isinstance(value, int) and not isinstance(value, bool) else {**params}
    )


def _check_growth(
    path: Path,
    divide: str,
    plan: GroupSpec,
    smaller: GroupSpec,
    data: Mapping[str, Scalar],
    small_data: Mapping[str, Scalar],
) -> None:
    if data == small_data and plan.members == smaller.members:
        names = sorted({*data, *(name for member in plan.members for name in member.params)})
        msg = f"{path}: [[growth]] divide {divide!r} is no whole number of {plan.id}{nearest(divide, names)}"
        raise SpecError(msg)


def _data(
    task_folder: Path, params: Mapping[str, Scalar], seed: int, data_cache: Path, model: _Model | None
) -> Callable[[], DataSet]:
    def get() -> DataSet:
        # Whatever a recipe imports from beside it is as much a part of it as its own file.
        source = b"\0".join(path.read_bytes() for path in with_those_beside(task_folder / "data.py"))
        if model:
            source += model.digest.encode()
        # Where the model lies is told to the recipe and no part of what it makes.
        told = {**params, MODEL: str(model.folder)} if model else params

        def make() -> Mapping[str, object]:
            import numpy as np

            recipe = load_module(task_folder, "data")
            try:
                made: Mapping[str, object] = recipe.make(told, np.random.default_rng(seed))
            except ModuleNotFoundError as error:
                msg = f"{task_folder / 'data.py'}: needs module {error.name!r} to make the data; install it"
                raise DataError(msg) from error
            return made

        return obtain(data_cache, recipe_digest(source, params, seed), make)  # type: ignore[arg-type]  # checked there

    return get


def applying(rules: Sequence[_RuleT], key: GroupKey, member: str, profile: str) -> list[_RuleT]:
    """Return the rules that hold for one case, in order."""
    return [
        rule
        for rule in rules
        if matches(rule.algorithm, key.algorithm)
        and matches(rule.phase, key.phase)
        and matches(rule.workload, key.workload)
        and matches(rule.member, member)
        and matches(rule.profile, profile)
    ]


def _limits(task: Task, key: GroupKey, profile: str) -> Limits:
    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}
    for rule in applying(task.quality, key, task.reference, profile):
        floor.update(rule.floor)
        ceiling.update(rule.ceiling)
    return Limits(floor, ceiling)


def _member(suite: Suite, key: GroupKey, name: str, profile: str, threads: int) -> MemberSpec:
    task = suite.tasks[key.task]
    against = task.members[name].against
    framework = framework_of(name)
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
        start=start(suite, framework, threads=threads),
        params=params,
        quality_params={**params, **quality} if quality else None,
        parity=tuple(applying(task.parity, key, name, profile)),
        unsound=unsound[-1].reason if unsound else "",
        reproducer=unsound[-1].reproducer if unsound else "",
        # Where the other does not stand, the reference does.
        against=against if against in member_names(task, key.algorithm, key.phase, key.workload, profile) else "",
    )
