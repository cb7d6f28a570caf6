"""What is to be measured, as data: one group of members, everything a worker machine must know about it.

A spec holds no function and, for the tasks of a suite, no path of a machine, so it can be written to a file, sent
elsewhere and bound there (``binding``). It round-trips through JSON byte for byte.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

from pytest_duet.defaults import MARGIN
from pytest_duet.spec.schema import ParityRule, Profile
from pytest_duet.values import Scalar
from pytest_duet.vocabulary import Language, Role

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of everything in a group spec: immutable, and an unknown key is an error."""


class LaunchSpec(_Data, frozen=True):
    """How a member's worker is launched.

    `kind` is ``direct`` (a Python implementation in this process) or ``process``. `argv` starts the process; for a
    direct member it is the same implementation in a process of its own, empty where there is none, and `unserved` says
    why. `function` names a user's own function as ``file::name``. `missing` is the reason, with its remedy, why the
    member cannot be launched at all. `sources` are the folders or files whose digest the worker must report, `lock` is
    the lock file likewise. `modules` are what a process that forks such workers imports beforehand; None where `argv`
    is no Python worker of ours, which cannot be forked.
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


class MemberSpec(_Data, frozen=True):
    """One member: what runs it, the parameters it gets, how its outputs are checked.

    `launch` is None for a framework of the suite: the machine that runs it knows how it is launched there.
    `quality_params` replace `params` while quality is measured. `against` is the member its time is compared with,
    empty for the reference.
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


class Limits(_Data, frozen=True):
    """Floors and ceilings of quality metrics."""

    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}

    def kept_by(self, values: dict[str, float]) -> bool:
        """Return whether `values` keep every limit; a missing value or NaN keeps none."""
        return all(values.get(metric, math.nan) >= least for metric, least in self.floor.items()) and all(
            values.get(metric, math.nan) <= most for metric, most in self.ceiling.items()
        )

    def __str__(self) -> str:
        """Return the limits in words, as in ``accuracy of 0.95``."""
        least = [f"{metric} of {value:g}" for metric, value in self.floor.items()]
        return " and ".join(least + [f"{metric} of at most {value:g}" for metric, value in self.ceiling.items()])


class ModelSpec(_Data, frozen=True):
    """A user's own model: the folder it lies in, and the SHA-256 of the files that are read from it."""

    folder: str
    digest: str


class DataSpec(_Data, frozen=True):
    """The data set: the parameters and seed its recipe gets, or the digest under which the cache holds it already."""

    params: dict[str, Scalar] = {}
    seed: int = 0
    model: ModelSpec | None = None
    digest: str = ""


class EffectSpec(_Data, frozen=True):
    """A job parameter that must matter: outputs must differ when it has `value`, `factor` times what it was."""

    param: str
    factor: float
    value: int | float


class ConvergenceSpec(_Data, frozen=True):
    """How the time to a fixed quality of the solution is taken.

    Job parameter `param` takes each of `values`, from the loosest stop to the strictest. A solution is good enough
    within `gap` (relative) of the best objective any member reached, or, where that is None, when it keeps `limits`.
    """

    param: str
    values: tuple[int | float, ...]
    gap: float | None = None
    limits: Limits = Limits()


class CheckpointSpec(_Data, frozen=True):
    """The weights every member starts from: outputs of `training`'s reference whose names start with `prefix`."""

    prefix: str
    training: GroupSpec


class GroupSpec(_Data, frozen=True, kw_only=True):
    """Members that are compared with each other on one workload.

    `margin` is the relative difference in time below which speed does not matter, `margins` that of members for which
    it is another one. `judged` is False where the quality of outputs is of no interest. `divide` names the data or job
    parameter whose eighth must save time, empty where that is not checked. `check` is a user's own parity check, as
    ``file::name``.
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
        """Return the spec as JSON, the same bytes for the same spec."""
        return _ENCODER.encode(self)


def from_json(content: bytes) -> GroupSpec:
    """Return the spec that `GroupSpec.to_json` wrote.

    Raises:
        msgspec.DecodeError: `content` is no spec.

    """
    return msgspec.json.decode(content, type=GroupSpec)
