"""Turn collected pytest items into bench items: one member of one group each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.api import ATTRIBUTE, PairDeclaration, SuiteDeclaration
from pytest_duet.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.ids import GroupKey

PREFIX = "bench_"


@dataclass(frozen=True)
class BenchItem:
    """One member of one group; `group` identifies the group in this session, `key` in tables and selectors."""

    group: tuple[str, str, str]
    member: str
    key: GroupKey
    declaration: SuiteDeclaration | PairDeclaration

    @property
    def benches(self) -> Path | None:
        """The folder of task folders that the item belongs to, None for an inline group."""
        return self.declaration.task_folder.parent if isinstance(self.declaration, SuiteDeclaration) else None

    def names(self, selector: str) -> set[str]:
        """Return the names by which `selector`, ``task`` for instance, finds the item.

        The name of a framework selects all its variants, the full name of a member that variant only.
        """
        from pytest_duet.ids import framework_of

        if selector == "framework":
            return {framework_of(self.member), self.member}
        return {str(getattr(self.key, selector))}

    def case_id(self, threads: int, device: str) -> str:
        """Return the id of the item's case on so many threads of `device`."""
        from pytest_duet.ids import CaseId

        return str(CaseId(str(self.key), self.member, threads, device))


BENCH_ITEM = pytest.StashKey[BenchItem]()


def bench_item_of(item: pytest.Item) -> BenchItem | None:
    """Return the bench item of `item`, None if it is not one of ours."""
    return item.stash.get(BENCH_ITEM, None)


def declaration_of(function: object) -> SuiteDeclaration | PairDeclaration | None:
    """Return the declaration of a benchmark function, None if it has none."""
    found: SuiteDeclaration | PairDeclaration | None = getattr(function, ATTRIBUTE, None)
    return found


def parametrize(metafunc: pytest.Metafunc, profile: str) -> None:
    """Give a declared benchmark one item for each of its members in `profile`; the id ends with the member's name."""
    declaration = declaration_of(metafunc.function)
    if declaration is None:
        return
    if "duet" not in metafunc.fixturenames:
        msg = f"{metafunc.definition.nodeid}: does not use the fixture 'duet'; add it as a parameter and call it"
        raise pytest.UsageError(msg)
    if isinstance(declaration, SuiteDeclaration):
        cases = _suite_cases(declaration, profile)
        ids = ["-".join(each) for each in cases]
        metafunc.parametrize(("duet_group", "duet_member"), cases, indirect=True, ids=ids)
        return
    names = declaration.names()
    _check_pair(metafunc.definition.nodeid, names)
    metafunc.parametrize("duet_member", names, indirect=True, ids=names)


def _suite_cases(declaration: SuiteDeclaration, profile: str) -> list[tuple[str, str]]:
    from pytest_duet.spec.suite import group_keys, load_suite, member_names

    try:
        suite = load_suite(declaration.task_folder.parent)
    except SpecError as error:
        raise pytest.UsageError(str(error)) from error
    name = declaration.task_folder.name
    if name not in suite.tasks:
        msg = f"{declaration.task_folder / 'task.toml'}: does not exist; a task folder of benchmarks needs one"
        raise pytest.UsageError(msg)
    task = suite.tasks[name]
    return [
        (key.local_id, member)
        for key in group_keys(name, task)
        for member in member_names(task, key.algorithm, key.phase, key.workload, profile)
    ]


def hint(config: pytest.Config) -> Iterator[str]:
    """Yield the lines that pytest's configuration lacks to collect the benchmarks that exist."""
    wanted = {"python_files": "bench_*.py", "python_functions": "bench_*"}
    lacking = [name for name, pattern in wanted.items() if pattern not in config.getini(name)]
    if not lacking:
        return
    given = [Path(each.partition("::")[0]) for each in config.args]
    # A hint is not worth a long search.
    found = (islice(path.rglob(f"{PREFIX}*.py"), 20) if path.is_dir() else [path] for path in given)
    if any(map(_is_ours, chain.from_iterable(found))):
        yield "duet: there are benchmarks here that pytest is not configured to collect; add to its configuration:"
        for name in lacking:
            yield f"  {name} = {' '.join(dict.fromkeys([*config.getini(name), wanted[name]]))}"


def _is_ours(path: Path) -> bool:
    try:
        return "pytest_duet" in path.read_text(errors="replace")
    except OSError:
        return False


def _check_pair(where: str, names: list[str]) -> None:
    from pytest_duet.ids import MEMBER_NAME

    for name in names:
        if not MEMBER_NAME.fullmatch(name):
            msg = f"{where}: member name {name!r} is not usable; write lower-case letters, digits and _"
            raise pytest.UsageError(msg)
    if len(set(names)) != len(names):
        remedy = "give each worker another name"
        raise pytest.UsageError(f"{where}: two members have the same name: {', '.join(names)}; {remedy}")


def assign(item: pytest.Item) -> None:
    """Attach the bench item of `item`, and set the group and timer of pytest-benchmark."""
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return
    declaration = declaration_of(item.function)
    if declaration is None:
        return
    from pytest_duet.ids import GroupKey
    from pytest_duet.plugin.replay import VirtualTimer

    params: dict[str, Any] = item.callspec.params
    member = str(params["duet_member"])
    prefix = item.callspec.id.removesuffix(member).removesuffix("-")
    parent = item.parent.nodeid if item.parent else ""
    name = str(item.originalname)
    if isinstance(declaration, SuiteDeclaration):
        key = GroupKey.of_task(declaration.task_folder.name, str(params["duet_group"]))
    else:
        key = GroupKey(name.removeprefix(PREFIX), "default", "call", prefix)
    bench_item = BenchItem((parent, name, prefix), member, key, declaration)
    item.stash[BENCH_ITEM] = bench_item
    # `get_closest_marker` does not merge markers, so the user's settings are copied.
    own = item.get_closest_marker("benchmark")
    settings = {"group": str(bench_item.key), **(own.kwargs if own else {}), "timer": VirtualTimer()}
    item.add_marker(pytest.mark.benchmark(**settings), append=False)
