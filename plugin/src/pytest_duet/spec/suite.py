"""All spec files of a folder: their groups, the members of each group, and the rules that apply to a case."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import GroupKey, framework_of
from pytest_duet.spec.load import check_selectors, load_frameworks, load_profiles, load_task
from pytest_duet.spec.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_duet.spec.schema import Framework, Profile, Rule, Spec, Task

_RuleT = TypeVar("_RuleT", bound="Rule")


@dataclass(frozen=True)
class Suite:
    """All spec files below the folder `benches`."""

    benches: Path
    frameworks: Mapping[str, Framework]
    profiles: Mapping[str, Profile]
    tasks: Mapping[str, Task]

    @property
    def project(self) -> Path:
        """The folder that holds `benches`, the crates and the built workers."""
        return self.benches.parent


@cache
def load_suite(benches: Path) -> Suite:
    """Return the suite in folder `benches`.

    Raises:
        SpecError: a file is unusable, or a task names an unknown framework or profile.
    """
    suite = Suite(
        benches=benches,
        frameworks=load_frameworks(benches / "frameworks.toml"),
        profiles=load_profiles(benches / "profiles.toml"),
        tasks={path.parent.name: load_task(path) for path in sorted(benches.glob("*/task.toml"))},
    )
    for name, task in suite.tasks.items():
        path = benches / name / "task.toml"
        for member in task.members:
            if (framework := framework_of(member)) not in suite.frameworks:
                hint = nearest(framework, suite.frameworks)
                raise SpecError(f"{path}: [members.{member}] names framework {framework!r}{hint}")
        check_selectors(path, task, {"profile": suite.profiles})
        for workload, entry in task.workloads.items():
            for profile in sorted(entry.profiles.keys() - suite.profiles):
                hint = nearest(profile, suite.profiles)
                raise SpecError(f"{path}: [workloads.{workload}.profiles] names profile {profile!r}{hint}")
    return suite


def group_keys(task_name: str, task: Task) -> list[GroupKey]:
    """Return every group of a task, in the order of its spec."""
    return [
        GroupKey(task_name, algorithm, phase, workload)
        for algorithm, entry in task.algorithms.items()
        for phase in task.phases
        for workload, data in task.workloads.items()
        if selects(entry, phases=phase) and selects(data, algorithms=algorithm, phases=phase)
    ]


def member_names(task: Task, algorithm: str, phase: str, workload: str, profile: str) -> list[str]:
    """Return the members of one group, in the order of the spec."""
    names = {"algorithms": algorithm, "phases": phase, "workloads": workload, "profiles": profile}
    return [name for name, member in task.members.items() if selects(member, **names)]


def applying(rules: Sequence[_RuleT], key: GroupKey, member: str, profile: str) -> list[_RuleT]:
    """Return the rules that apply to one case, in order."""
    names = {"algorithm": key.algorithm, "phase": key.phase, "workload": key.workload}
    return [rule for rule in rules if selects(rule, **names, member=member, profile=profile)]


def selects(entry: Spec, **names: str) -> bool:
    """Return whether each selector of `entry` given by keyword matches its name."""
    return all(matches(getattr(entry, key), name) for key, name in names.items())
