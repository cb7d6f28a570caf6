"""Make the plan of a group that a user declared in code: inputs bound by name, members started from functions and programs.

Not for groups of the suite: ``suite`` reads those from spec files.
"""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_duet.api import Worker, member_name
from pytest_duet.binding.datasets import content_digest, obtain
from pytest_duet.errors import Refused, SpecError
from pytest_duet.ids import framework_of, variant_of
from pytest_duet.protocol import to_number
from pytest_duet.spec.group import GroupSpec, LaunchSpec, MemberSpec
from pytest_duet.spec.launch import THREAD_VARIABLES
from pytest_duet.spec.schema import ParityRule
from pytest_duet.validate.parity import CLOSE_ENOUGH, equal_or_close
from pytest_duet.workers.python import function_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from pytest_duet.api import PairDeclaration
    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.protocol import Scalar
    from pytest_duet.spec.group import Check
    from pytest_duet.spec.schema import Profile

    Array = npt.NDArray[np.generic]

_CHECK = "pair"


@dataclass(frozen=True)
class Inputs:
    """What one call of `duet(...)` was given, by name; `digest` is the SHA-256 of all of it, `files` of the arrays alone."""

    params: Mapping[str, Scalar] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    digest: str = ""
    files: str = ""


NO_INPUTS: Final = Inputs()


def bind_inputs(declaration: PairDeclaration, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inputs:
    """Return what was given, by the names that the reference's signature has for it.

    Raises:
        SpecError: it does not fit the signature, or an input can neither be a parameter nor a file.

    """
    reference = declaration.members[0]
    assert not isinstance(reference, Worker)
    signature = inspect.signature(reference)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise SpecError(f"duet(...): the inputs do not fit {member_name(reference)}{signature}: {error}") from error
    bound.apply_defaults()
    params: dict[str, Scalar] = {}
    arrays: dict[str, Array] = {}
    for key, given in bound.arguments.items():
        value = given.item() if isinstance(given, np.generic) else given
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise SpecError(f"duet(...): input {key!r} is {value:#x}; whole numbers travel with 64 bits")
        if isinstance(value, bool | int | float | str):
            params[key] = to_number(value) if isinstance(value, float) else value
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            arrays[key] = value
        else:
            msg = (
                f"duet(...): input {key!r} is a {type(value).__name__}; give numbers, texts or numpy arrays of numbers"
            )
            raise SpecError(msg)
    parts = [
        part
        for key in sorted(arrays)
        for part in (f"{key} {arrays[key].dtype.str} {arrays[key].shape}".encode(), arrays[key].tobytes())
    ]
    return Inputs(
        params,
        arrays,
        digest=content_digest(repr(sorted(params.items())).encode(), *parts),
        files=content_digest(*parts),
    )


def make_pair_group(
    bench_item: BenchItem,
    declaration: PairDeclaration,
    inputs: Inputs,
    *,
    profile: str,
    budget: Profile,
    data_cache: Path,
    threads: int,
    device: str,
    root: Path,
) -> GroupSpec:
    """Return the plan for one call of `duet` with these inputs."""
    rule = ParityRule(output="*", check=_CHECK, tolerance=0.0 if declaration.check else CLOSE_ENOUGH)
    return GroupSpec(
        id=bench_item.group_id,
        task=bench_item.task,
        algorithm=bench_item.algorithm,
        phase=bench_item.phase,
        workload=bench_item.workload,
        workload_size="",
        reference=member_name(declaration.members[0]),
        members=tuple(
            _member(each, index, bench_item, inputs.params, rule, root, threads)
            for index, each in enumerate(declaration.members)
        ),
        dtype=declaration.dtype,
        profile=profile,
        budget=budget,
        # Arrays alone make the data set: numbers travel in the job.
        data=lambda: obtain(data_cache, inputs.files, lambda: inputs.arrays),
        cache=data_cache,
        threads=threads,
        device=device,
        margin=declaration.margin,
        checks={_CHECK: _user_check(declaration.check) if declaration.check else equal_or_close},
    )


def _user_check(check: Callable[[Any, Any], object]) -> Check:
    def call(reference: Array, other: Array) -> float:
        a, b = (side.item() if side.ndim == 0 else side for side in (reference, other))
        try:
            check(a, b)
        except Exception as error:
            raise Refused(f"check {member_name(check)} refused the result: {error}") from error
        return 0.0

    return call


def _member(
    member: Callable[..., Any] | Worker,
    index: int,
    bench_item: BenchItem,
    params: Mapping[str, Scalar],
    rule: ParityRule,
    root: Path,
    threads: int,
) -> MemberSpec:
    name = member_name(member)
    return MemberSpec(
        name=name,
        framework=framework_of(name),
        variant=variant_of(name),
        role="reference" if index == 0 else "rival",
        language="rust" if isinstance(member, Worker) else "python",
        start=_worker_start(member, root, threads)
        if isinstance(member, Worker)
        else _function_start(member, bench_item.task, threads),
        params=params,
        parity=(rule,),
    )


def _worker_start(worker: Worker, root: Path, threads: int) -> LaunchSpec:
    program = worker.argv[0]
    path = root / program
    # A bare word such as "python3" is looked up on PATH, as a shell does.
    is_path = "/" in program
    remedy = f"; build it: {worker.build}" if worker.build else "; build it first, or correct the path"
    return LaunchSpec(
        kind="process",
        argv=(str(path) if is_path else program, *worker.argv[1:]),
        environment=dict.fromkeys(THREAD_VARIABLES, str(threads)),
        missing=f"{program} does not exist{remedy}" if is_path and not path.is_file() else "",
        sources=(root / worker.source,) if worker.source else (),
        build=worker.build,
    )


def _function_start(function: Callable[..., Any], task: str, threads: int) -> LaunchSpec:
    file = inspect.getsourcefile(function)
    name = getattr(function, "__qualname__", "<")
    reachable = file is not None and "<" not in name
    argv = (sys.executable, "-m", "pytest_duet", "serve", "--callable", f"{file}::{name}", "--task", task)
    return LaunchSpec(
        kind="direct",
        argv=argv if reachable else (),
        # pytest may have been told of more places to import from.
        environment={
            **dict.fromkeys(THREAD_VARIABLES, str(threads)),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        unserved="" if reachable else f"{name} cannot be imported by file and name; define it at the top of a module",
        host=lambda: function_host(function, task),
        modules=() if reachable else None,
    )
