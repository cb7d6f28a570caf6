"""The shapes of the spec files: ``task.toml``, ``frameworks.toml`` and ``profiles.toml``. ``load`` reads and checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from pytest_duet.defaults import MARGIN
from pytest_duet.values import Scalar
from pytest_duet.vocabulary import Language, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

Positive = Annotated[float, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Params = dict[str, Scalar]
Names = str | list[str]
"""One pattern or several; ``*`` is a wildcard."""


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of every spec: immutable, and an unknown key is an error."""


class Profile(Spec, frozen=True, kw_only=True):
    """The time that a session may take.

    `group_seconds` is the most that a group's timed rounds may take. A rival whose call takes longer than
    `call_cap_seconds` and more than `call_cap_ratio` times the reference's is checked for parity but not timed.
    """

    why: str = ""
    group_seconds: Positive = 8.0
    call_cap_seconds: Positive = 0.05
    call_cap_ratio: Positive = 10.0
    observe_seconds: Positive = 0.5
    request_seconds: Positive = 120.0


class Framework(Spec, frozen=True, kw_only=True):
    """One framework, for all tasks.

    A Python framework lists the `distributions` whose versions are attested, the `modules` that it needs, and the `extra`
    that installs it. `set_threads` and `get_threads` are ``module:function``; without them threadpoolctl limits the
    threads. `details` maps a label to ``module:attribute``. A Rust framework needs none of these: its worker is
    ``target/release/duet-<name>``, built from ``rust_crates/frameworks/<name>``. `command` starts the worker another way;
    ``{python}`` and ``{root}`` are filled in, and a Python framework with a command runs in a process of its own.
    """

    title: str
    language: Language
    why: str = ""
    extra: str = ""
    distributions: list[str] = []
    modules: list[str] = []
    set_threads: str = ""
    get_threads: str = ""
    details: dict[str, str] = {}
    environment: dict[str, str] = {}
    command: list[str] = []


class Algorithm(Spec, frozen=True, kw_only=True):
    """One algorithm of a task, with those `phases` only."""

    why: str
    phases: Names = "*"


class Workload(Spec, frozen=True, kw_only=True):
    """A named data set: the parameters of its recipe in every profile (`data`) and in single ones (`profiles`).

    Only `algorithms` and `phases` use it.
    """

    why: str
    algorithms: Names = "*"
    phases: Names = "*"
    seed: int = 0
    data: Params = {}
    profiles: dict[str, Params] = {}


class Member(Spec, frozen=True, kw_only=True):
    """A framework, or one variant of it, in the groups that match `algorithms`, `phases`, `workloads` and `profiles`.

    `against` names the member that its time is compared with, if that is not the reference. Its outputs are compared with
    the reference's in any case.
    """

    role: Role = "rival"
    why: str = ""
    against: str = ""
    algorithms: Names = "*"
    phases: Names = "*"
    workloads: Names = "*"
    profiles: Names = "*"


class Rule(Spec, frozen=True):
    """Selectors: a rule applies to a case that all of them match. Later rules win."""

    algorithm: Names = "*"
    phase: Names = "*"
    workload: Names = "*"
    member: Names = "*"
    profile: Names = "*"


class ParamsRule(Rule, frozen=True, kw_only=True):
    """Parameters of the job."""

    set: Params


class MarginRule(Rule, frozen=True, kw_only=True):
    """A margin that replaces the task's."""

    margin: Positive


class QualityRule(Rule, frozen=True, kw_only=True):
    """Limits of quality metrics, and the parameters that replace the job's while quality is measured."""

    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}
    params: Params = {}


class ParityRule(Rule, frozen=True, kw_only=True):
    """How outputs whose names match `output` are compared with the reference's.

    `check` names a built-in check or a function in the task's ``check.py``; `tolerance` is the largest error that passes.
    Of two rules for the same output and check, the later one wins.
    """

    output: Names
    check: str = "close"
    tolerance: NonNegative = 0.0


class UnsoundRule(Rule, frozen=True, kw_only=True):
    """A framework cannot do these cases correctly: skip them for `reason`; the test `reproducer` shows the defect."""

    reason: str
    reproducer: str


class GrowthRule(Rule, frozen=True, kw_only=True):
    """Calls must take longer with more work; `divide` is the data or job parameter that is divided by eight to check it."""

    divide: str


class EffectRule(Rule, frozen=True, kw_only=True):
    """Outputs must change when job parameter `param` is multiplied by `factor`."""

    param: str
    factor: Positive = 10.0


class ConvergenceRule(Rule, frozen=True, kw_only=True):
    """Measure the time to a fixed quality of the solution, because stop rules differ.

    Job parameter `param` takes each of `values`, from the loosest stop rule to the strictest. The time is that of the
    first value whose objective lies within `gap` (relative) of the best that any member reached, or whose quality metrics
    keep `floor` and `ceiling`.
    """

    param: str
    values: Annotated[list[float], msgspec.Meta(min_length=1)]
    gap: Positive | None = None
    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}

    def __post_init__(self) -> None:
        if (self.gap is None) != bool(self.floor or self.ceiling):
            raise ValueError("give either gap, or limits by floor or ceiling, to define a good solution")


class Checkpoint(Spec, frozen=True, kw_only=True):
    """A data file ``checkpoint`` for `phase`: the reference's outputs of phase `trained_by` that start with `prefix`.

    `algorithm` and `workload` name what is trained if it is not the group's own.
    """

    phase: Names
    trained_by: str
    prefix: str
    algorithm: str = ""
    workload: str = ""


class Model(Spec, frozen=True, kw_only=True):
    """A user's own model, a folder that holds `files`, may replace the weights where the other fields match."""

    files: Annotated[list[str], msgspec.Meta(min_length=1)]
    algorithms: Names = "*"
    phases: Names = "*"
    workloads: Names = "*"


class Task(Spec, frozen=True, kw_only=True):
    """A whole ``task.toml``."""

    title: str
    why: str
    phases: list[str]
    dtype: Literal["f32", "f64"]
    margin: Positive = MARGIN
    algorithms: dict[str, Algorithm]
    workloads: dict[str, Workload]
    members: dict[str, Member]
    params: list[ParamsRule] = []
    margins: list[MarginRule] = []
    quality: list[QualityRule] = []
    parity: list[ParityRule] = []
    unsound: list[UnsoundRule] = []
    growth: list[GrowthRule] = []
    effect: list[EffectRule] = []
    convergence: list[ConvergenceRule] = []
    checkpoint: Checkpoint | None = None
    model: Model | None = None

    @property
    def reference(self) -> str:
        """The name of the reference."""
        return next(name for name, member in self.members.items() if member.role == "reference")

    @property
    def rules(self) -> dict[str, Sequence[Rule]]:
        """The rules of each table."""
        tables = ("params", "margins", "quality", "parity", "unsound", "growth", "effect", "convergence")
        return {table: getattr(self, table) for table in tables}
