"""What ``duet ab`` compares: the cases of two commits of a suite, or two commands of a user's own, ready to be measured.

Not for measuring them, nor for its options (``ab``).
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import shlex
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from pytest_duet.binding.datasets import content_digest, obtain
from pytest_duet.cli.build import build_worker
from pytest_duet.errors import SpecError, StoreError, reason_of
from pytest_duet.extras import worktrees
from pytest_duet.extras.ab import BASE, HEAD, Case, as_pair, cases, pair_of, undecided, without
from pytest_duet.ids import framework_of
from pytest_duet.records.files import read_regular
from pytest_duet.spec.group import GroupSpec, LaunchSpec, MemberSpec
from pytest_duet.spec.launch import THREAD_VARIABLES, start
from pytest_duet.spec.resolve import load_suite
from pytest_duet.spec.schema import ParityRule, Profile
from pytest_duet.validate.attest import file_digest, source_digest
from pytest_duet.validate.parity import CLOSE_ENOUGH, equal_or_close

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    import numpy.typing as npt

    from pytest_duet.extras.worktrees import Worktree
    from pytest_duet.records.schema import Change
    from pytest_duet.spec.resolve import Suite

CACHE: Final = Path(".duet")
WORKING_TREE: Final = "working tree"
_WORD: Final = re.compile(r"[^\s()]+")
_CHECK: Final = "pair"
_CARGO: Final = (
    "rust_crates/Cargo.lock",
    "rust_crates/Cargo.toml",
    ".cargo/config.toml",
    "rust-toolchain.toml",
    "rust-toolchain",
)


@dataclass
class Found:
    """What there is to compare: the plans that can be measured, and the changes that are known without."""

    plans: list[GroupSpec] = field(default_factory=list)
    known: list[Change] = field(default_factory=list)


# --- two commits ------------------------------------------------------------------------------------------------------


def of_commits(
    base: str, head: str, expression: str, profile: str, benches: Path, say: Callable[[str], None]
) -> tuple[Found, tuple[str, str]]:
    """Return what there is to compare between commits `base` and `head` (the working tree where empty), and their names.

    Raises:
        WorktreeError: a commit cannot be had.
        SpecError: head's spec cannot be read, or no case is like `expression`.

    """
    root = worktrees.repository(benches.parent)
    cache = root / CACHE
    before = worktrees.check_out(root, base, cache / "ab")
    after = worktrees.check_out(root, head, cache / "ab") if head else worktrees.Worktree(root, WORKING_TREE)
    inside = benches.relative_to(root)
    suites = (_suite(before, inside), load_suite(after.root / inside))
    if profile not in suites[1].profiles:
        raise SpecError(f"--profile: unknown profile {profile!r}; known: {', '.join(sorted(suites[1].profiles))}")
    gone, wanted = ([case for case in cases(suite, profile) if _is_like(case.id, expression)] for suite in suites)
    if not wanted and not gone:
        raise SpecError(
            f"-k: no case of {inside} is like {expression!r}; `pytest benches --collect-only -q` lists them"
        )
    both = [case for case in wanted if case in gone]
    # The project may be a folder of a larger repository.
    projects = (worktrees.Worktree(suites[0].project, before.name), worktrees.Worktree(suites[1].project, after.name))
    starts = {name: _sides(projects, suites, name, cache / "ab", say) for name in _frameworks(both)}
    found = Found()
    for case in both:
        try:
            plan, why = pair_of(case, suites, starts, profile, cache / "data")
        except Exception as error:  # noqa: BLE001 - a fault of a task folder must cost no other case
            plan, why = None, reason_of(error)
        if plan is None:
            found.known.append(undecided(case.id, why))
        else:
            found.plans.append(plan)
    for case in wanted:
        if case not in both:
            found.known.append(without(case.id, base=False, head=True, reason="new: base does not have it"))
    for case in gone:
        if case not in both:
            found.known.append(without(case.id, base=True, head=False, reason="head does not have it"))
    return found, (before.name, after.name)


def _suite(tree: Worktree, inside: Path) -> Suite:
    """Return the suite of the base; whatever is wrong with it, it is not what head has to answer for."""
    try:
        return load_suite(tree.root / inside)
    except SpecError as error:
        raise worktrees.WorktreeError(f"{tree.name} cannot be compared with: {error}") from error


def _frameworks(chosen: Iterable[Case]) -> list[str]:
    return list(dict.fromkeys(framework_of(case.member) for case in chosen))


def _sides(
    both: tuple[Worktree, Worktree], suites: tuple[Suite, Suite], name: str, cache: Path, say: Callable[[str], None]
) -> tuple[LaunchSpec, LaunchSpec]:
    """Return how workers of framework `name` are started on either side, building what has to be built."""
    if suites[1].frameworks[name].language == "rust" and not suites[1].frameworks[name].command:
        return _rust_sides(both, suites, name, say)
    before, after = (start(suite, name, threads=1) for suite in suites)
    python = str(worktrees.environment(both[0], both[1].root, cache, say))
    if before.argv[0] != python and before.modules is not None:
        environment = {**before.environment, **worktrees.our_package()}
        return dataclasses.replace(before, argv=(python, *before.argv[1:]), environment=environment), after
    if before.modules is None or after.modules is None:
        return before, after
    # Forked from one and the same process: whatever was drawn for that, such as where its memory lies, is alike.
    modules = tuple(dict.fromkeys([*after.modules, *before.modules]))
    return dataclasses.replace(before, modules=modules), dataclasses.replace(after, modules=modules)


def _rust_sides(
    both: tuple[Worktree, Worktree], suites: tuple[Suite, Suite], name: str, say: Callable[[str], None]
) -> tuple[LaunchSpec, LaunchSpec]:
    build_worker(suites[1].project, name, both[1].name)
    before, after = (start(suite, name, threads=1) for suite in suites)
    if before.lock and after.lock and _built_from(suites[0].project, before) == _built_from(suites[1].project, after):
        say(f"{name}: the sources are those of {both[0].name}; one binary runs both sides")
        return after, after
    worktrees.seed_target(both[0], suites[1].project / "target", say)
    build_worker(suites[0].project, name, both[0].name)
    # What was missing before may be there now.
    return start(suites[0], name, threads=1), after


def _built_from(project: Path, how: LaunchSpec) -> tuple[str, ...]:
    """Return what a worker of `project` depends on: its sources, the lock, and how cargo is told to build it."""
    return source_digest(how.sources), *(file_digest(project / each) for each in _CARGO)


# --- which of them ----------------------------------------------------------------------------------------------------


def _is_like(case: str, expression: str) -> bool:
    """Say whether `case` is meant: words that occur in it, joined by ``and``, ``or``, ``not`` and parentheses.

    Raises:
        click.UsageError: `expression` is none.

    """
    if not expression.strip():
        return True

    def truth(word: re.Match[str]) -> str:
        return word[0] if word[0] in {"and", "or", "not"} else str(word[0].lower() in case.lower())

    try:
        return _value(ast.parse(_WORD.sub(truth, expression), mode="eval").body)
    except (SyntaxError, ValueError):
        raise click.UsageError(
            f"-k: {expression!r} is no expression; write for example 'lasso and not native'"
        ) from None


def _value(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool(value)):
            return value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand)
        case ast.BoolOp(op=ast.And(), values=values):
            return all(map(_value, values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return any(map(_value, values))
    raise ValueError("neither and, or, not nor a word")


# --- two commands -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    """What workers of a user's own are asked for."""

    task: str
    algorithm: str
    phase: str


def of_commands(
    commands: tuple[str, str], asked: Asked, params: Iterable[str], arrays: Iterable[str], profile: str
) -> GroupSpec:
    """Return the plan in which two worker commands are compared on one job.

    Raises:
        click.UsageError: the job is not said, or wrongly.
        DataError: what the data files hold is nothing for workers, or cannot be kept.

    """
    if not asked.task:
        raise click.UsageError("--cmd needs --task: what the workers are asked for")
    told = dict(_named(each, "--param") for each in params)
    files = {name: _array(path) for name, path in (_named(each, "--data") for each in arrays)}
    data = obtain(CACHE / "data", _digest(files), lambda: files)
    rule = ParityRule(output="*", check=_CHECK, tolerance=CLOSE_ENOUGH)
    sides = [
        MemberSpec(
            name=name,
            framework=asked.task,
            variant="",
            role="reference" if name == BASE else "rival",
            language="rust",
            start=LaunchSpec("process", argv=_argv(command), environment=dict.fromkeys(THREAD_VARIABLES, "1")),
            params={name: _scalar(value) for name, value in told.items()},
            parity=(rule,),
        )
        for name, command in zip((BASE, HEAD), commands, strict=True)
    ]
    plan = GroupSpec(
        id=asked.task,
        task=asked.task,
        algorithm=asked.algorithm,
        phase=asked.phase,
        workload="",
        workload_size="",
        reference=BASE,
        members=(),
        dtype="f64",
        profile=profile,
        budget=Profile(),
        data=lambda: data,
        cache=CACHE / "data",
        checks={_CHECK: equal_or_close},
    )
    return as_pair(plan, asked.task, sides)


def _argv(command: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise click.UsageError(f"--cmd: {command!r} cannot be read ({error}); quote it as a shell wants it") from error
    if not any(argv[:1]):
        raise click.UsageError(f"--cmd: {command!r} names no program; give two commands that start workers")
    return argv


def _named(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.UsageError(f"{option}: {text!r} is not NAME=VALUE")
    return name, value


def _scalar(text: str) -> bool | int | float | str:
    """Return a parameter as it was meant: a truth value or a number in JSON's words, else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _array(path: str) -> npt.NDArray[np.generic]:
    from numpy.lib import format as npy

    try:
        array: npt.NDArray[np.generic] = npy.read_array(BytesIO(read_regular(Path(path))), allow_pickle=False)
    except StoreError as error:
        raise click.UsageError(f"--data: {error}") from error
    except Exception as error:
        # A damaged header makes numpy raise whatever its parser does.
        raise click.UsageError(f"--data: {path} cannot be read ({error}); give a .npy file of numbers") from error
    return array


def _digest(files: Mapping[str, npt.NDArray[np.generic]]) -> str:
    named = ((f"{name} {array.dtype.str} {array.shape}", array) for name, array in sorted(files.items()))
    return content_digest(*(part for name, array in named for part in (name.encode(), array.tobytes())))
