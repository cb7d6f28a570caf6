"""Bind a group's spec to this machine: its data set, its task's functions, and how its members are launched here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pytest_duet.binding.datasets import obtain, recipe_digest
from pytest_duet.errors import DataError, Invalid, Refused, SpecError, Unavailable
from pytest_duet.spec.imports import relative_imports
from pytest_duet.spec.launch import launch_spec
from pytest_duet.spec.suite import load_suite
from pytest_duet.values import NonFinite, from_number
from pytest_duet.workers.python import framework_host, function_host, load_function, load_module, load_shared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_duet.binding.datasets import Array, Content, DataSet
    from pytest_duet.spec.group import GroupSpec, LaunchSpec
    from pytest_duet.values import Scalar
    from pytest_duet.workers.host import Host

    Arrays = Mapping[str, Array]
    DataArrays = Mapping[str, Content]
    Quality = Callable[[str, str, Arrays, DataArrays], Mapping[str, float]]
    Objective = Callable[[str, Arrays, DataArrays, Mapping[str, Scalar]], float]
    Check = Callable[[Array, Array], float]

MODEL: Final = "model"
"""The parameter that gives a recipe the folder of a user's own model."""

INLINE_CHECK: Final = "pair"
"""The parity check of an inline group: the user's own, or equality and closeness."""


@dataclass(frozen=True)
class BoundGroup:
    """A group's spec with what it needs on this machine.

    `data` makes or finds the data set in `cache`. `quality` and `objective` are the task's functions, None if it has
    none. `checks` are the parity checks of the task and the user, by name. `launches` says how the worker of each member
    is launched; `hosts` has the members that run in this process. `workload_size` describes the size of the data.
    """

    spec: GroupSpec
    cache: Path
    data: Callable[[GroupSpec], DataSet]
    quality: Quality | None
    objective: Objective | None
    checks: Mapping[str, Check]
    launches: Mapping[str, LaunchSpec]
    hosts: Mapping[str, Callable[[], Host]]
    workload_size: str = ""

    def derived(self, spec: GroupSpec) -> BoundGroup:
        """Return this group with another spec of the same task and member names."""
        return replace(self, spec=spec)

    def data_set(self) -> DataSet:
        """Return the data set; make it if it is not in the cache.

        Raises:
            DataError: it cannot be made, or the cache is broken.
        """
        return self.data(self.spec)

    def qualities(self, outputs: Arrays, arrays: DataArrays) -> Mapping[str, float]:
        """Return the quality metrics of `outputs`; none if the task has no quality.

        Raises:
            Invalid: they cannot be computed.
        """
        if self.quality is None:
            return {}
        try:
            return self.quality(self.spec.algorithm, self.spec.phase, outputs, arrays)
        except (ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise Invalid(f"quality cannot be computed from the outputs: {error}") from error


def bind(spec: GroupSpec, benches: Path, cache: Path) -> BoundGroup:
    """Return `spec` bound to the task folders in `benches` and the data sets in `cache`. This imports the task's modules.

    Raises:
        SpecError: a module of the task does not exist, or lacks a function that the spec needs.
    """
    # An inline group has no task folder, even if there is one with its task's name.
    folder = None if spec.data.digest else benches / spec.task
    launches, hosts = {}, {}
    for member in [*spec.members, *(spec.checkpoint.training.members if spec.checkpoint else ())]:
        launch = member.launch or launch_spec(load_suite(benches), member.framework, threads=spec.threads)
        launches[member.name] = launch
        if launch.kind == "direct":
            hosts[member.name] = partial(_host, spec, member.framework, launch, benches)
    judge = load_module(folder, "quality") if folder and (folder / "quality.py").exists() else None
    bound = BoundGroup(
        spec=spec,
        cache=cache,
        data=partial(_data_set, benches / spec.task, cache),
        quality=getattr(judge, "quality", None),
        objective=getattr(judge, "objective", None),
        checks=_checks(spec, folder, benches),
        launches=launches,
        hosts=hosts,
        workload_size=_size(folder, spec),
    )
    if spec.convergence:
        needed = "quality" if spec.convergence.gap is None else "objective"
        if getattr(bound, needed) is None:
            raise SpecError(
                f"{benches / spec.task / 'quality.py'}: [[convergence]] needs a function {needed} there; write one"
            )
    return bound


def _host(spec: GroupSpec, framework: str, launch: LaunchSpec, benches: Path) -> Host:
    if launch.function:
        return function_host(_load_named(launch.function, benches.parent), spec.task)
    if launch.unserved:
        raise Unavailable(launch.unserved)
    return framework_host(benches, framework, load_suite(benches).frameworks[framework])


def _load_named(name: str, root: Path) -> Callable[..., Any]:
    """Return the function that ``file::name`` names; a relative file starts at `root`."""
    file, _, function = name.partition("::")
    return load_function(root / file, function)


def user_check(name: str, find: Callable[[], Callable[[Any, Any], object]]) -> Check:
    """Return a parity check from the user's function that `find` returns; it raises if two results disagree."""

    def call(reference: Array, other: Array) -> float:
        a, b = (side.item() if side.ndim == 0 else side for side in (reference, other))
        check = find()
        try:
            check(a, b)
        except Exception as error:
            raise Refused(f"check {name} refused the result: {error}") from error
        return 0.0

    return call


def _checks(spec: GroupSpec, folder: Path | None, benches: Path) -> Mapping[str, Check]:
    """Return the user's own check, or those of ``checks.py`` beside the task folders and then of the task's ``check.py``."""
    if spec.check:
        name = spec.check.partition("::")[2]
        return {INLINE_CHECK: user_check(name, partial(_load_named, spec.check, benches.parent))}
    checks: dict[str, Check] = {}
    if folder and (folder / "task.toml").exists():
        if (benches / "checks.py").exists():
            checks.update(load_shared(benches, "checks").CHECKS)
        if (folder / "check.py").exists():
            checks.update(load_module(folder, "check").CHECKS)
    return checks


def _recipe_params(spec: GroupSpec) -> dict[str, Scalar]:
    """Return the parameters of the recipe, with NaN and infinities as floats again."""
    params: dict[str, Scalar] = {
        name: from_number(value) if isinstance(value, NonFinite) else value for name, value in spec.data.params.items()
    }
    return {**params, MODEL: spec.data.model.folder} if spec.data.model else params


def _size(folder: Path | None, spec: GroupSpec) -> str:
    if spec.data.model or not folder or not (folder / "task.toml").exists():
        return ""
    size = getattr(load_module(folder, "data"), "size", None)
    return str(size(_recipe_params(spec))) if size else ""


def _data_set(folder: Path, cache: Path, spec: GroupSpec) -> DataSet:
    data = spec.data

    def make() -> Mapping[str, Any]:
        if data.digest:
            msg = f"{cache}: holds no data set {data.digest[:12]} of {spec.id}"
            raise DataError(f"{msg}; copy it from the machine that planned the group")
        import numpy as np

        recipe = load_module(folder, "data")
        try:
            made: Mapping[str, Any] = recipe.make(_recipe_params(spec), np.random.default_rng(data.seed))
        except ModuleNotFoundError as error:
            msg = f"{folder / 'data.py'}: needs module {error.name!r} to make the data; install it"
            raise DataError(msg) from error
        return made

    if data.digest:
        return obtain(cache, data.digest, make)
    # The files that a recipe imports from its own folder are as much a part of it as its own file.
    source = b"\0".join(path.read_bytes() for path in relative_imports(folder / "data.py"))
    if data.model:
        # The recipe gets the model's folder, but only the model's content decides what it makes.
        source += data.model.digest.encode()
    return obtain(cache, recipe_digest(source, data.params, data.seed), make)
