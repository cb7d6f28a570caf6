"""What a session means to do: groups and their members, told apart from how they came to be declared.

Not for doing it: ``measure`` does. ``suite`` makes plans from spec files, ``door`` from a user's own pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.protocol import Scalar
    from pytest_duet.spec.schema import ParityRule, Profile
    from pytest_duet.vocabulary import Language, Role
    from pytest_duet.workers.host import Host

    Arrays = Mapping[str, npt.NDArray[np.generic]]
    DataArrays = Mapping[str, npt.NDArray[np.generic] | dict[str, npt.NDArray[np.generic]] | str]
    Quality = Callable[[str, str, Arrays, DataArrays], Mapping[str, float]]
    Objective = Callable[[str, Arrays, DataArrays, Mapping[str, Scalar]], float]
    """Takes (algorithm, outputs, data, job parameters), returns what is minimised."""
    Check = Callable[[npt.NDArray[np.generic], npt.NDArray[np.generic]], float]
    """Takes (reference, other), returns the error that a rule's tolerance bounds."""


@dataclass(frozen=True)
class LaunchSpec:
    """How a member's worker is started.

    `kind` is ``direct`` (a Python implementation in this process) or ``process``. `argv` starts the process; for a
    direct member it is the served twin that telemetry observes, empty where there is none and `unserved` says why.
    `missing` is the reason with its remedy when the member cannot be started at all. `sources` are the folders or files
    whose digest the worker must report, `lock` the lock file likewise. `modules` are what a process that forks such
    workers imports beforehand; None where `argv` is no Python worker of ours, which cannot be forked.
    """

    kind: str
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    missing: str = ""
    unserved: str = ""
    sources: tuple[Path, ...] = ()
    lock: Path | None = None
    build: str = ""
    host: Callable[[], Host] | None = None
    modules: tuple[str, ...] | None = None


@dataclass(frozen=True)
class MemberSpec:
    """One member: who it is, how it is started, what it is told, how it is checked.

    `against` is the member its time is set against, empty for the reference.
    """

    name: str
    framework: str
    variant: str
    role: Role
    language: Language
    start: LaunchSpec
    params: Mapping[str, Scalar] = field(default_factory=dict)
    quality_params: Mapping[str, Scalar] | None = None
    parity: tuple[ParityRule, ...] = ()
    unsound: str = ""
    reproducer: str = ""
    against: str = ""


@dataclass(frozen=True)
class Limits:
    """Floors and ceilings of quality metrics."""

    floor: Mapping[str, float] = field(default_factory=dict)
    ceiling: Mapping[str, float] = field(default_factory=dict)

    def kept_by(self, values: Mapping[str, float]) -> bool:
        """Return whether `values` keep every limit; what is missing or not a number keeps none."""
        return all(values.get(metric, math.nan) >= least for metric, least in self.floor.items()) and all(
            values.get(metric, math.nan) <= most for metric, most in self.ceiling.items()
        )

    def __str__(self) -> str:
        """Return the limits in words, as in ``accuracy of 0.95``."""
        least = [f"{metric} of {value:g}" for metric, value in self.floor.items()]
        return " and ".join(least + [f"{metric} of at most {value:g}" for metric, value in self.ceiling.items()])


@dataclass(frozen=True)
class Effect:
    """Another setting of job parameter `param`, under which outputs must differ; `group` is the plan with it."""

    param: str
    factor: float
    group: GroupSpec


@dataclass(frozen=True)
class Convergence:
    """How time to a fixed quality of the solution is taken: what is good enough, and the ladder of stop rules.

    `groups` are the plans from the loosest stop to the strictest, told one of `values` each as job parameter `param`.
    """

    goal: Gap | Limits
    param: str
    values: tuple[float, ...]
    groups: tuple[GroupSpec, ...]


@dataclass(frozen=True)
class Gap:
    """How far, relative to the best that any member reached, the objective may lie; smaller objectives are better."""

    relative: float
    objective: Objective


@dataclass(frozen=True)
class GroupSpec:
    """Members that are compared with each other on one workload.

    `data` makes or finds the bytes; `quality` is the task's function, None where quality has no meaning; `checks` are the
    task's own parity checks by name; `checkpoint` is the plan of the group that trains what this one needs, with the
    prefix of the outputs wanted; `smaller` is this group with an eighth of the work, where time must grow with it;
    `margins` are those of members for which another than `margin` holds; `effects` are settings that must make a
    difference; `convergence` is how time to a fixed quality is taken.
    """

    id: str
    task: str
    algorithm: str
    phase: str
    workload: str
    workload_size: str
    reference: str
    members: tuple[MemberSpec, ...]
    dtype: str
    profile: str
    budget: Profile
    data: Callable[[], DataSet]
    cache: Path
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    margin: float = 0.05
    margins: Mapping[str, float] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    quality: Quality | None = None
    checks: Mapping[str, Check] = field(default_factory=dict)
    checkpoint: GroupSpec | None = None
    smaller: GroupSpec | None = None
    checkpoint_prefix: str = ""
    effects: tuple[Effect, ...] = ()
    convergence: Convergence | None = None

    def member(self, name: str) -> MemberSpec:
        """Return the member called `name`."""
        return next(member for member in self.members if member.name == name)
