"""The typed shapes of the spec files (``task.toml``, ``frameworks.toml``, ``profiles.toml``) and the strict door they enter by.

Not for deciding which cases follow from them: ``plan`` does.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec

from pytest_duet.defaults import MARGIN
from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import MEMBER_NAME, NAME
from pytest_duet.spec.selectors import matches
from pytest_duet.values import Scalar
from pytest_duet.vocabulary import Language, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Positive = Annotated[float, msgspec.Meta(gt=0)]
PositiveInt = Annotated[int, msgspec.Meta(gt=0)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Params = dict[str, Scalar]
Names = str | list[str]
NARROWED: Final = ("algorithms", "phases", "profiles", "workloads")
"""Keys that say where something stands."""


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of every spec shape: immutable, and an unknown key is an error."""


class Profile(Spec, frozen=True, kw_only=True):
    """How much time a session may take.

    `group_seconds` is a ceiling for a group's timed rounds. A rival whose call takes longer than `call_cap_seconds` and
    more than `call_cap_ratio` times the reference's is checked for parity and not timed.
    """

    why: str = ""
    group_seconds: Positive = 8.0
    call_cap_seconds: Positive = 0.05
    call_cap_ratio: Positive = 10.0
    observe_seconds: Positive = 0.5
    request_seconds: Positive = 120.0


class Framework(Spec, frozen=True, kw_only=True):
    """One framework, whatever the task.

    A Python framework names the `distributions` whose versions are attested, the `modules` whose absence makes it
    unavailable, and the `extra` that installs it. `set_threads` and `get_threads` are ``module:function``; without them
    threads are limited through threadpoolctl. `details` maps a word to ``module:attribute``. A Rust framework needs
    nothing: its worker is ``target/release/duet-<name>``, built from ``rust_crates/frameworks/<name>``. `command`
    replaces the way a worker is started; ``{python}`` and ``{root}`` are filled in, and a Python framework that has one
    is served by its own process instead of being called directly.
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
    """One algorithm of a task; `phases` narrows which it has."""

    why: str
    phases: Names = "*"


class Workload(Spec, frozen=True, kw_only=True):
    """A named data set: what its recipe is told, in every profile (`data`) and in one (`profiles`).

    `algorithms` and `phases` narrow what it is there for.
    """

    why: str
    algorithms: Names = "*"
    phases: Names = "*"
    seed: int = 0
    data: Params = {}
    profiles: dict[str, Params] = {}


class Member(Spec, frozen=True, kw_only=True):
    """One framework, or one variant of it, in this task; narrowed to where it stands.

    `algorithms`, `phases`, `workloads` and `profiles` narrow it: one that takes long to set up need not stand in the
    quickest profile. `against` names the member its time is set against where that is not the reference: like is
    compared with like. Outputs are held against the reference's in any case.
    """

    role: Role = "rival"
    why: str = ""
    against: str = ""
    algorithms: Names = "*"
    phases: Names = "*"
    workloads: Names = "*"
    profiles: Names = "*"


class Rule(Spec, frozen=True):
    """Selectors: a rule holds for a case when each names it; ``*`` wildcards are understood. Later rules win."""

    algorithm: Names = "*"
    phase: Names = "*"
    workload: Names = "*"
    member: Names = "*"
    profile: Names = "*"


class ParamsRule(Rule, frozen=True, kw_only=True):
    """Parameters of the job."""

    set: Params


class MarginRule(Rule, frozen=True, kw_only=True):
    """Cases for which the relative difference in time below which speed does not matter is another than the task's."""

    margin: Positive


class QualityRule(Rule, frozen=True, kw_only=True):
    """Limits of quality metrics, and the parameters that replace the job's while quality is measured."""

    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}
    params: Params = {}


class ParityRule(Rule, frozen=True, kw_only=True):
    """How outputs whose name matches `output` are held against the reference's.

    `check` is the name of a built-in check or of a function in the task's ``check.py``; `tolerance` is the largest error
    that passes. Of two rules for the same output and check the later wins.
    """

    output: Names
    check: str = "close"
    tolerance: NonNegative = 0.0


class UnsoundRule(Rule, frozen=True, kw_only=True):
    """Cases a framework cannot do soundly: a declared skip with the test that reproduces the defect."""

    reason: str
    reproducer: str


class GrowthRule(Rule, frozen=True, kw_only=True):
    """Cases whose calls must take longer with more work: `divide` names the data or job parameter that an eighth is taken of."""

    divide: str


class EffectRule(Rule, frozen=True, kw_only=True):
    """Cases whose outputs must not stay what they are when the job parameter `param` is `factor` times as large."""

    param: str
    factor: Positive = 10.0


class ConvergenceRule(Rule, frozen=True, kw_only=True):
    """Cases whose time to a fixed quality of the solution is taken, since stop rules differ.

    The job parameter `param` takes `values`, from the loosest stop to the strictest. With a `gap`, the first whose
    objective lies within it (relative) of the best that any member reached gives the time; with a `floor` or a `ceiling`
    of quality metrics, the first that keeps them.
    """

    param: str
    values: Annotated[list[float], msgspec.Meta(min_length=1)]
    gap: Positive | None = None
    floor: dict[str, float] = {}
    ceiling: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Refuse a rule that says in no way, or in two, when a solution is good enough."""
        if (self.gap is None) != bool(self.floor or self.ceiling):
            raise ValueError(
                "say either how near the best is near enough, by gap, or which quality is, by floor or ceiling"
            )


class Checkpoint(Spec, frozen=True, kw_only=True):
    """A data file named `checkpoint` for `phase`: the reference's outputs of phase `trained_by` whose names start so.

    `algorithm` and `workload` are what is trained where that is not the group's own: a language model that generates was
    trained as one.
    """

    phase: Names
    trained_by: str
    prefix: str
    algorithm: str = ""
    workload: str = ""


class Model(Spec, frozen=True, kw_only=True):
    """Says that a user's own model may stand in for the weights of a task: a folder that holds `files`.

    `algorithms`, `phases` and `workloads` narrow where it does.
    """

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
        """The name of the member the others are relative to."""
        return next(name for name, member in self.members.items() if member.role == "reference")

    @property
    def rules(self) -> dict[str, Sequence[Rule]]:
        """Every rule of the file, by the table it stands in."""
        return {
            "params": self.params,
            "margins": self.margins,
            "quality": self.quality,
            "parity": self.parity,
            "unsound": self.unsound,
            "growth": self.growth,
            "effect": self.effect,
            "convergence": self.convergence,
        }


_S = TypeVar("_S")


def load_task(path: Path) -> Task:
    """Return the task in `path`.

    Raises:
        SpecError: the file cannot be used; the message names file, key and remedy.

    """
    task = _load(path, Task)
    _check_task(path, task)
    return task


def load_frameworks(path: Path) -> dict[str, Framework]:
    """Return every framework in `path`, by name.

    Raises:
        SpecError: as `load_task`.

    """
    frameworks = _load(path, dict[str, Framework])
    _check_names(path, "framework", frameworks, dotted=False)
    return frameworks


def load_profiles(path: Path) -> dict[str, Profile]:
    """Return every profile in `path`, by name.

    Raises:
        SpecError: as `load_task`.

    """
    profiles = _load(path, dict[str, Profile])
    _check_names(path, "profile", profiles, dotted=False)
    return profiles


def _load(path: Path, kind: type[_S]) -> _S:
    try:
        with path.open("rb") as file:
            raw = tomllib.load(file)
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror}); create it or name another") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: is not TOML: {error}") from error
    try:
        return msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        raise SpecError(f"{path}: {_explain(str(error), kind, raw)}") from error


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>[^`]*)`(?: - at `(?P<where>.*)`)?")
_WRONG = re.compile(r"(?P<what>.*) - at `(?P<where>.*)`")


def _explain(message: str, kind: Any, raw: Any) -> str:
    """Turn msgspec's words into ours: the table, the key, the nearest known one."""
    unknown = _UNKNOWN.fullmatch(message)
    if unknown:
        where, key = unknown["where"] or "$", unknown["key"]
        return f"{_table(where, raw, key)} has unknown key {key!r}{nearest(key, _fields_at(kind, where))}"
    wrong = _WRONG.fullmatch(message)
    if wrong:
        return f"{_table(wrong['where'], raw)}: {wrong['what'][0].lower()}{wrong['what'][1:]}"
    return message[0].lower() + message[1:]


def _table(where: str, raw: Any, key: str = "") -> str:
    """Return msgspec path `where` as TOML writes it; where it says ``[...]`` the table that holds `key` is looked for."""
    path = ""
    for part in re.findall(r"\w+|\.\.\.", where):
        if part == "...":
            named = next((name for name, inside in raw.items() if isinstance(inside, dict) and key in inside), "*")
            path, raw = f"{path}.{named}", raw.get(named, {})
        elif part.isdecimal():
            path, raw = f"{path}[{part}]", raw[int(part)]
        else:
            path, raw = f"{path}.{part}", raw.get(part, {}) if isinstance(raw, dict) else {}
    return f"[{path.removeprefix('.')}]" if path else "top level"


def _fields_at(kind: Any, where: str) -> list[str]:
    """Return the field names of the struct at msgspec path `where` (``$.members[...]``) below type `kind`."""
    node = msgspec.inspect.type_info(kind)
    for part in re.findall(r"\.(\w+)|\[(?:\d+|\.\.\.)\]", where):
        if isinstance(node, msgspec.inspect.StructType) and part:
            node = next(field.type for field in node.fields if field.encode_name == part)
        elif isinstance(node, msgspec.inspect.DictType):
            node = node.value_type
        elif isinstance(node, msgspec.inspect.ListType):
            node = node.item_type
        if isinstance(node, msgspec.inspect.UnionType):
            node = next((t for t in node.types if isinstance(t, msgspec.inspect.StructType)), node)
    return [field.encode_name for field in node.fields] if isinstance(node, msgspec.inspect.StructType) else []


def _check_names(path: Path, what: str, names: dict[str, Any], *, dotted: bool) -> None:
    for name in names:
        if not (MEMBER_NAME if dotted else NAME).fullmatch(name):
            raise SpecError(f"{path}: {what} name {name!r} is not usable; write lower-case letters, digits and _")


def _check_task(path: Path, task: Task) -> None:
    _check_names(path, "algorithm", task.algorithms, dotted=False)
    _check_names(path, "phase", dict.fromkeys(task.phases), dotted=False)
    _check_names(path, "workload", task.workloads, dotted=False)
    _check_names(path, "member", task.members, dotted=True)
    _check_reference(path, task)
    known = {
        "algorithm": list(task.algorithms),
        "phase": task.phases,
        "workload": list(task.workloads),
        "member": list(task.members),
    }
    for table, entries in task.rules.items():
        for index, rule in enumerate(entries):
            for selector, names in known.items():
                _check_selector(f"{path}: [{table}[{index}]] {selector}", getattr(rule, selector), names)
    for where, narrowed in _narrowed(task):
        for key in NARROWED:
            chosen = getattr(narrowed, key, None)
            # A workload's `profiles` is a table of its own, and which profiles there are another file says.
            if key != "profiles" and chosen is not None:
                _check_selector(f"{path}: [{where}] {key}", chosen, known[key.removesuffix("s")])
    _check_against(path, task)
    if task.checkpoint:
        _check_checkpoint(path, task.checkpoint, {**known, "trained_by": task.phases})


def _check_checkpoint(path: Path, checkpoint: Checkpoint, known: dict[str, list[str]]) -> None:
    for key in ("phase", "trained_by", "algorithm", "workload"):
        if chosen := getattr(checkpoint, key):
            _check_selector(f"{path}: [checkpoint] {key}", chosen, known[key])
    if matches(checkpoint.phase, checkpoint.trained_by):
        raise SpecError(f"{path}: [checkpoint] trained_by needs what it should train; name a phase that does not")


def _narrowed(task: Task) -> Iterator[tuple[str, Spec]]:
    """Yield what can be narrowed to some algorithms, phases, workloads or profiles, with the name of its table."""
    for table in ("algorithms", "workloads", "members"):
        for name, entry in getattr(task, table).items():
            yield f"{table}.{name}", entry
    if task.model:
        yield "model", task.model


def _check_against(path: Path, task: Task) -> None:
    for name, member in task.members.items():
        where = f"{path}: [members.{name}] against {member.against!r}"
        if member.against and member.role != "rival":
            raise SpecError(f"{where}: only a rival is compared; drop it, or drop role = {member.role!r}")
        if member.against and (member.against not in task.members or member.against == name):
            others = [other for other in task.members if other != name]
            raise SpecError(f"{where} names no other member{nearest(member.against, others)}")


def _check_reference(path: Path, task: Task) -> None:
    references = [name for name, member in task.members.items() if member.role == "reference"]
    if len(references) != 1:
        found = ", ".join(references) or "none"
        raise SpecError(f"{path}: exactly one member must have role = 'reference'; found {found}")
    reference = task.members[references[0]]
    for key in NARROWED:
        if getattr(reference, key) != "*":
            what = "the reference must stand in every group: drop it, and narrow the others"
            raise SpecError(f"{path}: [members.{references[0]}] has {key}; {what}")


def _check_selector(where: str, pattern: Names, names: list[str]) -> None:
    for each in [pattern] if isinstance(pattern, str) else pattern:
        if not any(matches(each, name) for name in names):
            raise SpecError(f"{where} {each!r} names nothing{nearest(each, names)}")
