"""Groups that a user declares in code: inputs are bound by name, members are functions and programs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pytest_duet.api import Worker, member_name
from pytest_duet.binding.bind import INLINE_CHECK, bind, user_check
from pytest_duet.binding.datasets import obtain
from pytest_duet.digests import arrays_digest, content_digest
from pytest_duet.errors import SpecError
from pytest_duet.ids import framework_of, variant_of
from pytest_duet.spec.group import DataSpec, GroupSpec, LaunchSpec, MemberSpec
from pytest_duet.spec.launch import function_launch, function_name, thread_environment
from pytest_duet.spec.schema import ParityRule
from pytest_duet.validate.parity import CLOSE_ENOUGH
from pytest_duet.values import to_number
from pytest_duet.workers.python import function_host

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    from pytest_duet.api import PairDeclaration
    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.spec.schema import Profile
    from pytest_duet.values import Scalar

    Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Inputs:
    """The inputs of one call of `duet(...)`, by name; `digest` is the SHA-256 of all of them, `files` of the arrays alone."""

    params: Mapping[str, Scalar] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    digest: str = ""
    files: str = ""


NO_INPUTS: Final = Inputs()


def bind_inputs(declaration: PairDeclaration, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Inputs:
    """Return the inputs by the names of the reference's parameters.

    Raises:
        SpecError: they do not fit the signature, or an input can be neither a parameter nor a file.
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
            raise SpecError(f"duet(...): input {key!r} is {value:#x}; integers travel with 64 bits")
        if isinstance(value, bool | int | float | str):
            params[key] = to_number(value) if isinstance(value, float) else value
        elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            arrays[key] = value
        else:
            kind = type(value).__name__
            raise SpecError(f"duet(...): input {key!r} is a {kind}; give numbers, strings or numpy arrays of numbers")
    files = arrays_digest(arrays)
    digest = content_digest(repr(sorted(params.items())).encode(), files.encode())
    return Inputs(params, arrays, digest=digest, files=files)


def inline_spec(
    bench_item: BenchItem,
    declaration: PairDeclaration,
    inputs: Inputs,
    *,
    profile: str,
    budget: Profile,
    threads: int,
    device: str,
    root: Path,
) -> GroupSpec:
    """Return the spec of one call of `duet` with these inputs."""
    rule = ParityRule(output="*", check=INLINE_CHECK, tolerance=0.0 if declaration.check else CLOSE_ENOUGH)
    key, names = bench_item.key, declaration.names()
    members = [
        MemberSpec(
            name=name,
            framework=framework_of(name),
            variant=variant_of(name),
            role="rival" if index else "reference",
            language="rust" if isinstance(member, Worker) else "python",
            launch=_worker_launch(member, root, threads)
            if isinstance(member, Worker)
            else function_launch(member, key.task, threads=threads),
            params=dict(inputs.params),
            parity=(rule,),
        )
        for index, (name, member) in enumerate(zip(names, declaration.members, strict=True))
    ]
    return GroupSpec(
        id=str(key),
        task=key.task,
        algorithm=key.algorithm,
        phase=key.phase,
        workload=key.workload,
        reference=names[0],
        members=tuple(members),
        dtype=declaration.dtype,
        profile=profile,
        budget=budget,
        # The data set holds arrays only; numbers are parameters of the job.
        data=DataSpec(digest=inputs.files),
        threads=threads,
        device=device,
        margin=declaration.margin,
        judged=False,
        check=function_name(declaration.check) if declaration.check else "",
    )


def bind_inline(spec: GroupSpec, declaration: PairDeclaration, inputs: Inputs, root: Path, cache: Path) -> BoundGroup:
    """Return `spec` bound to the functions of `declaration` and to `inputs`."""
    hosts = {
        member_name(function): partial(function_host, function, spec.task)
        for function in declaration.members
        if not isinstance(function, Worker)
    }
    bound = bind(spec, root / "benches", cache)
    bound = replace(bound, data=lambda _: obtain(cache, inputs.files, lambda: inputs.arrays), hosts=hosts)
    if check := declaration.check:
        bound = replace(bound, checks={INLINE_CHECK: user_check(member_name(check), lambda: check)})
    return bound


def _worker_launch(worker: Worker, root: Path, threads: int) -> LaunchSpec:
    program = worker.argv[0]
    path = root / program
    # A name without a slash, such as "python3", is looked up on PATH, as in a shell.
    is_path = "/" in program
    remedy = f"; build it: {worker.build}" if worker.build else "; build it first, or correct the path"
    return LaunchSpec(
        kind="process",
        argv=(str(path) if is_path else program, *worker.argv[1:]),
        environment=thread_environment(threads),
        missing=f"{program} does not exist{remedy}" if is_path and not path.is_file() else "",
        sources=(str(root / worker.source),) if worker.source else (),
        build=worker.build,
    )
