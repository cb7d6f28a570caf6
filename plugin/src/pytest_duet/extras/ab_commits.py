"""``duet ab BASE``: compare the cases that two commits of a suite share, each built from its own sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

import pytest_duet
from pytest_duet.defaults import CACHE
from pytest_duet.digests import file_digest, source_digest
from pytest_duet.errors import SpecError, reason_of
from pytest_duet.extras import worktrees
from pytest_duet.extras.ab_pair import cases, not_compared, pair_of
from pytest_duet.ids import framework_of
from pytest_duet.phases.build import build_worker
from pytest_duet.spec.launch import launch_spec
from pytest_duet.spec.selectors import expression as means
from pytest_duet.spec.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.extras.worktrees import Worktree
    from pytest_duet.records.schema import Change
    from pytest_duet.spec.group import LaunchSpec
    from pytest_duet.spec.suite import Suite

WORKING_TREE: Final = "working tree"
_CARGO: Final = (
    "rust_crates/Cargo.lock",
    "rust_crates/Cargo.toml",
    ".cargo/config.toml",
    "rust-toolchain.toml",
    "rust-toolchain",
)


@dataclass
class Found:
    """What there is to compare: groups to measure, and changes that are known without measuring."""

    groups: list[BoundGroup] = field(default_factory=list)
    known: list[Change] = field(default_factory=list)


def of_commits(
    base: str, head: str, expression: str, profile: str, benches: Path, say: Callable[[str], None]
) -> tuple[Found, tuple[str, str]]:
    """Return what there is to compare between commits `base` and `head`, and their names.

    An empty `head` is the working tree. Only cases that match `expression` count; an empty one matches all. `say` gets a
    line for each thing that is built.

    Raises:
        WorktreeError: a commit cannot be checked out or built.
        SpecError: head's spec cannot be read, or no case matches `expression`.
    """
    root = worktrees.repository(benches.parent)
    cache = root / CACHE
    before = worktrees.check_out(root, base, cache / "ab")
    after = worktrees.check_out(root, head, cache / "ab") if head else worktrees.Worktree(root, WORKING_TREE)
    inside = benches.relative_to(root)
    try:
        base_suite = load_suite(before.root / inside)
    except SpecError as error:
        # A fault of base must not fail head.
        raise worktrees.WorktreeError(f"{before.name} cannot be compared with: {error}") from error
    suites = (base_suite, load_suite(after.root / inside))
    if profile not in suites[1].profiles:
        raise SpecError(f"--profile: unknown profile {profile!r}; known: {', '.join(sorted(suites[1].profiles))}")
    wanted = means(expression)
    in_base, in_head = ([case for case in cases(suite, profile) if wanted(case.id)] for suite in suites)
    if not in_base and not in_head:
        remedy = "`pytest benches --collect-only -q` lists them"
        raise SpecError(f"-k: no case of {inside} matches {expression!r}; {remedy}")
    both = [case for case in in_head if case in in_base]
    # The project may be a subfolder of its repository.
    projects = (worktrees.Worktree(suites[0].project, before.name), worktrees.Worktree(suites[1].project, after.name))
    frameworks = dict.fromkeys(framework_of(case.member) for case in both)
    launches = {name: _sides(projects, suites, name, cache / "ab", say) for name in frameworks}
    found = Found()
    for case in both:
        try:
            group, why = pair_of(case, suites, launches, profile, cache / "data")
        except Exception as error:  # noqa: BLE001 - the fault of one task must not end the other cases
            group, why = None, reason_of(error)
        if group is None:
            found.known.append(not_compared(case.id, "bad", "ok", why))
        else:
            found.groups.append(group)
    new, gone = "new: base does not have it", "head does not have it"
    found.known += [not_compared(case.id, "missing", "ok", new) for case in in_head if case not in both]
    found.known += [not_compared(case.id, "ok", "missing", gone) for case in in_base if case not in both]
    return found, (before.name, after.name)


def _sides(
    both: tuple[Worktree, Worktree], suites: tuple[Suite, Suite], name: str, cache: Path, say: Callable[[str], None]
) -> tuple[LaunchSpec, LaunchSpec]:
    """Return how workers of framework `name` are launched on each side, after building them where needed."""
    if suites[1].frameworks[name].language == "rust" and not suites[1].frameworks[name].command:
        return _rust_sides(both, suites, name, say)
    before, after = (launch_spec(suite, name, threads=1) for suite in suites)
    python = str(worktrees.environment(both[0], both[1].root, cache, say))
    if before.argv[0] != python and before.modules is not None:
        # The other interpreter imports this package, which drives both sides.
        environment = {**before.environment, "PYTHONPATH": str(Path(pytest_duet.__file__).parents[1])}
        return msgspec.structs.replace(before, argv=(python, *before.argv[1:]), environment=environment), after
    if before.modules is None or after.modules is None:
        return before, after
    # With the same modules, one fork server serves both sides, so that its memory layout cannot differ between them.
    modules = tuple(dict.fromkeys([*after.modules, *before.modules]))
    return msgspec.structs.replace(before, modules=modules), msgspec.structs.replace(after, modules=modules)


def _rust_sides(
    both: tuple[Worktree, Worktree], suites: tuple[Suite, Suite], name: str, say: Callable[[str], None]
) -> tuple[LaunchSpec, LaunchSpec]:
    build_worker(suites[1].project, name, both[1].name, say)
    before, after = (launch_spec(suite, name, threads=1) for suite in suites)
    if before.lock and after.lock and _built_from(suites[0].project, before) == _built_from(suites[1].project, after):
        say(f"{name}: same sources as {both[0].name}; one binary runs both sides")
        return after, after
    worktrees.seed_target(both[0], suites[1].project / "target", say)
    build_worker(suites[0].project, name, both[0].name, say)
    # Load again: the worker that was missing may exist now.
    return launch_spec(suites[0], name, threads=1), after


def _built_from(project: Path, how: LaunchSpec) -> tuple[str, ...]:
    """Return what a worker of `project` is built from: its sources, the lock file, and cargo's configuration."""
    return source_digest(map(Path, how.sources)), *(file_digest(project / each) for each in _CARGO)
