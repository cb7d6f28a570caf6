"""The plan of a pytest session: the groups of the selected items, each with its spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.api import PairDeclaration, SuiteDeclaration
from pytest_duet.binding.bind import bind
from pytest_duet.defaults import PROFILE
from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import CaseId
from pytest_duet.plugin import inline_group
from pytest_duet.spec.resolve import check_model, group_spec
from pytest_duet.spec.schema import Profile
from pytest_duet.spec.suite import load_suite

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.errors import DuetError
    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.options import Settings
    from pytest_duet.records.schema import GroupRecord
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.vocabulary import Status

GroupId = tuple[str, str, str]


@dataclass(eq=False)
class PlannedGroup:
    """One group of the session: its selected items, its spec, and its result: a record, an error, or how it `ended`.

    `bound` is None until the spec is bound to this machine. `ended` is the status and reason of a group whose benchmark
    ended without measuring anything.
    """

    bench_items: list[BenchItem]
    spec: GroupSpec
    bound: BoundGroup | None = None
    record: GroupRecord | None = None
    error: DuetError | None = None
    ended: tuple[Status, str] | None = None
    inputs: inline_group.Inputs = field(default_factory=inline_group.Inputs)

    @property
    def declaration(self) -> SuiteDeclaration | PairDeclaration:
        """The declaration of its benchmark."""
        return self.bench_items[0].declaration

    @property
    def selected(self) -> list[str]:
        """The names of the selected members."""
        return [bench_item.member for bench_item in self.bench_items]


class Planner:
    """Makes the specs of a session's groups from its settings; `root` is pytest's rootdir."""

    def __init__(self, settings: Settings, root: Path) -> None:
        self._settings, self._root = settings, root

    def plan(self, bench_items: Sequence[BenchItem]) -> dict[GroupId, PlannedGroup]:
        """Return the groups of `bench_items`, which were selected. Reads spec files only.

        Raises:
            SpecError: the profile is unknown, two groups have the same name, or a task takes no model but was given one.
            DataError: the folder of a model cannot be used.
        """
        by_group: dict[GroupId, list[BenchItem]] = {}
        for bench_item in bench_items:
            by_group.setdefault(bench_item.group, []).append(bench_item)
        for benches in filter(None, {each[0].benches for each in by_group.values()}):
            for task in self._settings.models:
                check_model(load_suite(benches), task)
        seen: dict[str, GroupId] = {}
        for group, items in by_group.items():
            name = str(items[0].key)
            if seen.setdefault(name, group) != group:
                raise SpecError(f"two benchmarks are called {name}, in {seen[name][0]} and {group[0]}; rename one")
        return {group: PlannedGroup(items, self.spec(items[0])) for group, items in by_group.items()}

    def spec(self, bench_item: BenchItem, inputs: inline_group.Inputs = inline_group.NO_INPUTS) -> GroupSpec:
        """Return the spec of the group of `bench_item`, with the user's margins; `inputs` are those of an inline group."""
        settings, declaration = self._settings, bench_item.declaration
        profiles = load_suite(bench_item.benches).profiles if bench_item.benches else {PROFILE: Profile()}
        if settings.profile not in profiles:
            hint = nearest(settings.profile, profiles)
            raise SpecError(f"--duet-profile: unknown profile {settings.profile!r}{hint}")
        if isinstance(declaration, PairDeclaration):
            spec = inline_group.inline_spec(
                bench_item,
                declaration,
                inputs,
                profile=settings.profile,
                budget=profiles[settings.profile],
                threads=settings.threads,
                device=settings.device,
                root=self._root,
            )
        else:
            spec = group_spec(
                load_suite(declaration.task_folder.parent),
                bench_item.key,
                settings.profile,
                threads=settings.threads,
                device=settings.device,
                models=settings.models,
            )
        cases = {each.name: CaseId(spec.id, each.name, spec.threads, spec.device) for each in spec.members}
        given = {name: margin for name, case in cases.items() if (margin := settings.margins.given_for(str(case)))}
        return msgspec.structs.replace(spec, margins={**spec.margins, **given})

    def bind(self, group: PlannedGroup) -> BoundGroup:
        """Return the spec of `group` bound to this machine. Imports the task's modules.

        Raises:
            SpecError: the task's modules lack what the spec needs.
        """
        cache, declaration = self._settings.cache / "data", group.declaration
        if isinstance(declaration, SuiteDeclaration):
            return bind(group.spec, declaration.task_folder.parent, cache)
        return inline_group.bind_inline(group.spec, declaration, group.inputs, self._root, cache)
