"""Read spec files strictly: an error names the file, the table, the key and the remedy."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.inspect import DictType, ListType, StructType, UnionType

from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import MEMBER_NAME, NAME
from pytest_duet.spec.schema import Framework, Profile, Task
from pytest_duet.spec.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_duet.spec.schema import Names

_T = TypeVar("_T")
_NamesT = TypeVar("_NamesT", bound="Iterable[str]")


def load_task(path: Path) -> Task:
    """Return the task in `path`.

    Raises:
        SpecError: the file is unusable.
    """
    task = _load(path, Task)
    known = {"algorithm": task.algorithms, "phase": task.phases, "workload": task.workloads, "member": task.members}
    for what, names in known.items():
        _check_names(path, what, names)
    _check_reference(path, task)
    check_selectors(path, task, known)
    _check_against(path, task)
    if task.checkpoint and matches(task.checkpoint.phase, task.checkpoint.trained_by):
        raise SpecError(f"{path}: [checkpoint] trained_by needs the checkpoint itself; name a phase that does not")
    return task


def load_frameworks(path: Path) -> dict[str, Framework]:
    """Return the frameworks in `path` by name; raise as `load_task` does."""
    return _check_names(path, "framework", _load(path, dict[str, Framework]))


def load_profiles(path: Path) -> dict[str, Profile]:
    """Return the profiles in `path` by name; raise as `load_task` does."""
    return _check_names(path, "profile", _load(path, dict[str, Profile]))


def check_selectors(path: Path, task: Task, known: Mapping[str, Collection[str]]) -> None:
    """Check that each pattern of `task` matches one of the `known` names of its kind; skip kinds that are not `known`.

    Raises:
        SpecError: a pattern matches nothing.
    """
    for where, kind, patterns in _selectors(task):
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            if kind in known and not any(matches(pattern, name) for name in known[kind]):
                raise SpecError(f"{path}: {where} {pattern!r} matches nothing{nearest(pattern, known[kind])}")


def _selectors(task: Task) -> Iterator[tuple[str, str, Names]]:
    """Yield each selector of `task`: its place, the kind of name that it selects, and its patterns."""
    for table, rules in task.rules.items():
        for index, rule in enumerate(rules):
            for kind in ("algorithm", "phase", "workload", "member", "profile"):
                yield f"[{table}[{index}]] {kind}", kind, getattr(rule, kind)
    narrowed: list[tuple[str, Any, tuple[str, ...]]] = [
        *((f"algorithms.{name}", each, ("phases",)) for name, each in task.algorithms.items()),
        *((f"workloads.{name}", each, ("algorithms", "phases")) for name, each in task.workloads.items()),
        *((f"members.{name}", each, _NARROWING) for name, each in task.members.items()),
        *([("model", task.model, _NARROWING[:3])] if task.model else []),
    ]
    for table, entry, keys in narrowed:
        for key in keys:
            yield f"[{table}] {key}", key.removesuffix("s"), getattr(entry, key)
    if task.checkpoint:
        for key in ("phase", "trained_by", "algorithm", "workload"):
            if patterns := getattr(task.checkpoint, key):
                yield f"[checkpoint] {key}", "phase" if key == "trained_by" else key, patterns


_NARROWING = ("algorithms", "phases", "workloads", "profiles")


def _check_names(path: Path, kind: str, names: _NamesT) -> _NamesT:
    """Return `names` if ids can hold all of them."""
    for name in names:
        if not (MEMBER_NAME if kind == "member" else NAME).fullmatch(name):
            raise SpecError(f"{path}: {kind} name {name!r} is not usable; write lower-case letters, digits and _")
    return names


def _check_reference(path: Path, task: Task) -> None:
    references = [name for name, member in task.members.items() if member.role == "reference"]
    if len(references) != 1:
        found = ", ".join(references) or "none"
        raise SpecError(f"{path}: exactly one member must have role = 'reference'; found {found}")
    for key in _NARROWING:
        if getattr(task.members[references[0]], key) != "*":
            why = "the reference must be in every group; drop the key and narrow the other members"
            raise SpecError(f"{path}: [members.{references[0]}] has {key}, but {why}")


def _check_against(path: Path, task: Task) -> None:
    for name, member in task.members.items():
        where = f"{path}: [members.{name}] against {member.against!r}"
        if member.against and member.role != "rival":
            raise SpecError(f"{where}: only a rival is compared; drop it, or drop role = {member.role!r}")
        others = [other for other in task.members if other != name]
        if member.against and member.against not in others:
            raise SpecError(f"{where} is not another member{nearest(member.against, others)}")


def _load(path: Path, kind: type[_T]) -> _T:
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


def _explain(message: str, kind: Any, raw: Any) -> str:
    """Rewrite a message of msgspec: name the table, the key and the nearest known key."""
    placed = re.fullmatch(r"(.*) - at `(.*)`", message, re.DOTALL)
    what, where = placed.groups() if placed else (message, "")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL)
    if unknown:
        table, keys = _table(where, kind, raw, unknown[1])
        return f"{table} has unknown key {unknown[1]!r}{nearest(unknown[1], keys)}"
    what = what[0].lower() + what[1:]
    return f"{_table(where, kind, raw)[0]}: {what}" if where else what


def _table(where: str, kind: Any, raw: Any, key: str = "") -> tuple[str, list[str]]:
    """Return the table at msgspec path `where` as TOML writes it, and its known keys; ``[...]`` is the table with `key`."""
    path, node = "", msgspec.inspect.type_info(kind)
    for part in re.findall(r"\w+|\.\.\.", where):
        if part.isdecimal():
            path, raw = f"{path}[{part}]", raw[int(part)]
        else:
            tables = raw if isinstance(raw, dict) else {}
            holding = (name for name, inside in tables.items() if isinstance(inside, dict) and key in inside)
            name = next(holding, "*") if part == "..." else part
            path, raw = f"{path}.{name}", tables.get(name, {})
        if isinstance(node, StructType):
            node = next(field.type for field in node.fields if field.encode_name == part)
        elif isinstance(node, DictType):
            node = node.value_type
        elif isinstance(node, ListType):
            node = node.item_type
        if isinstance(node, UnionType):
            node = next((each for each in node.types if isinstance(each, StructType)), node)
    keys = [field.encode_name for field in node.fields] if isinstance(node, StructType) else []
    return f"[{path.removeprefix('.')}]" if path else "top level", keys
