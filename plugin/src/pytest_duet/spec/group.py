"""The spec of one group of members, as data: everything that a machine needs to measure it.

It holds no function and, for the tasks of a suite, no path of a machine, so it can be sent to another machine and bound
there (``binding``). It round-trips through JSON byte for byte.
"""

# ruff: noqa: RUF012 - msgspec copies mutable defaults

from __future__ import annotations

import math
from typing import Literal

import msgspec

from pytest_duet.defaults import MARGIN
from pytest_duet.spec.schema import ParityRule, Profile, Spec
from pytest_duet.values import Scalar
from pytest_duet.vocabulary import Language, Role


class LaunchSpec(Spec, frozen=True):
    """How a member's worker is launched.

    `kind` is ``direct`` (a Python implementation in this process) or ``process``. `argv` starts the process; for a direct
    member it runs the same implementation in a process of its own, and if it is empty `unserved` says why. `function` names
    a user's function as ``file::name``. `missing` says why the member cannot be launched, with the remedy. The worker must
    report the digests of the folders or files in `sources` and of the file `lock`. A fork server imports `modules` before
    it forks such workers; None means that they cannot be forked.
    """

    kind: Literal["direct", "process"]
    argv: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    function: str = ""
    missing: str = ""
    unserved: str = ""
    sources: tuple[str, ...] = ()
    lock: str = ""
    build: str = ""
    modules: tuple[str, ...] | None = None


class MemberSpec(Spec, frozen=True):
    """One member: how it is launched, its parameters, and the checks of its outputs.

    `launch` is None for a framework of the suite: each machine launches it in its own way. `quality_params` replace
    `params` while quality is measured. `against` is the member its time is compared with, empty for the reference.
    """

    name: str
    framework: str
    variant: str
    role: Role
    language: Language
    launch: LaunchSpec | None = None
    params: dict[str, Scalar] = {}
    quality_params: dict[str, Scalar] | None = None
    parity: tuple[ParityRule, ...] = ()
    unsound: str = ""
    reproducer: str = ""
    against: str = ""


class Limits(Spec, frozen=True):
    """The least (`floor`) and the most (`ceiling`) that quality metrics may be."""

    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}

    def kept_by(self, values: dict[str, float]) -> bool:
        """Return whether `values` keep every limit; a missing value or NaN keeps none."""
        floors = (values.get(metric, math.nan) >= least for metric, least in self.floor.items())
        return all(floors) and all(values.get(metric, math.nan) <= most for metric, most in self.ceiling.items())

    def __str__(self) -> str:
        """Return the limits as text, such as ``accuracy of 0.95``."""
        least = [f"{metric} of {value:g}" for metric, value in self.floor.items()]
        return " and ".join(least + [f"{metric} of at most {value:g}" for metric, value in self.ceiling.items()])


class ModelSpec(Spec, frozen=True):
    """A user's own model: its folder, and the SHA-256 of the files that the task reads from it."""

    folder: str
    digest: str


class DataSpec(Spec, frozen=True):
    """The data set: the parameters and seed of its recipe, or the digest of a data set that is already in the cache."""

    params: dict[str, Scalar] = {}
    seed: int = 0
    model: ModelSpec | None = None
    digest: str = ""


class EffectSpec(Spec, frozen=True):
    """Outputs must change when job parameter `param` is `value`, which is `factor` times its usual value."""

    param: str
    factor: float
    value: int | float


class ConvergenceSpec(Spec, frozen=True):
    """How the time to a fixed quality of the solution is measured.

    Job parameter `param` takes each of `values`, from the loosest stop rule to the strictest. A solution is good enough
    within `gap` (relative) of the best objective that any member reached or, if `gap` is None, when it keeps `limits`.
    """

    param: str
    values: tuple[int | float, ...]
    gap: float | None = None
    limits: Limits = Limits()


class CheckpointSpec(Spec, frozen=True):
    """The weights that every member starts from: outputs of `training`'s reference that start with `prefix`."""

    prefix: str
    training: GroupSpec


class GroupSpec(Spec, frozen=True, kw_only=True):
    """Members that are compared with each other on one workload.

    `margin` is the relative difference in time below which speed does not matter; `margins` overrides it for single
    members. If `judged` is False, the quality of outputs is not measured. `divide` names the data or job parameter that the
    scaling check divides by eight, empty for no such check. `check` is a user's own parity check, as ``file::name``.
    """

    id: str
    task: str
    algorithm: str
    phase: str
    workload: str
    reference: str
    members: tuple[MemberSpec, ...]
    dtype: str
    profile: str
    budget: Profile
    data: DataSpec = DataSpec()
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    margin: float = MARGIN
    margins: dict[str, float] = {}
    limits: Limits = Limits()
    judged: bool = True
    divide: str = ""
    effects: tuple[EffectSpec, ...] = ()
    convergence: ConvergenceSpec | None = None
    checkpoint: CheckpointSpec | None = None
    check: str = ""

    def member(self, name: str) -> MemberSpec:
        """Return the member called `name`."""
        return next(member for member in self.members if member.name == name)

    def to_json(self) -> bytes:
        """Return the spec as JSON; equal specs give equal bytes."""
        return msgspec.json.encode(self, order="deterministic")
