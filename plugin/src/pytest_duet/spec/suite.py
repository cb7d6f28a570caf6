"""All spec files of a folder: which groups there are and which members each has, held together across files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import GroupKey, framework_of
from pytest_duet.spec.schema import Framework, Profile, Task, load_frameworks, load_profiles, load_task
from pytest_duet.spec.selectors import matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pytest_duet.spec.schema import Rule

_RuleT = TypeVar("_RuleT", bound="Rule")


@dataclass(frozen=True)
class Suite:
    """All spec files below `benches`; `project` is the folder workers and crates are found from."""

    benches: Path
    frameworks: Mapping[str, Framework]
    profiles: Mapping[str, Profile]
    tasks: Mapping[str, Task]

    @property
    def project(self) -> Path:
        """The folder that holds `benches`."""
        return self.benches.parent


@cache
def load_suite(benches: Path) -> Suite:
    """Return the suite in folder `benches`.

    Raises:
        SpecError: a file cannot be used, or names a framework that `frameworks.toml` does not have.

    """
    suite = Suite(
        benches=benches,
        frameworks=load_frameworks(benches / "frameworks.toml"),
        profiles=load_profiles(benches / "profiles.toml"),
        tasks={path.parent.name: load_task(path) for path in sorted(benches.glob("*/task.toml"))},
    )
    for name, task in suite.tasks.items():
        for member in task.members:
            framework = framework_of(member)
            if framework not in suite.frameworks:
                where = f"{benches / name / 'task.toml'}: [members.{member}]"
                raise SpecError(f"{where} names framework {framework!r}{nearest(framework, suite.frameworks)}")
        _check_profiles(f"{benches / name / 'task.toml'}", task, suite.profiles)
        for workload, entry in task.workloads.items():
            for profile in entry.profiles:
                if profile not in suite.profiles:
                    where = f"{benches / name / 'task.toml'}: [workloads.{workload}.profiles]"
                    raise SpecError(f"{where} names profile {profile!r}{nearest(profile, suite.profiles)}")
    return suite


def _check_profiles(path: str, task: Task, known: Mapping[str, Profile]) -> None:
    """Hold everything that selects profiles against the profiles there are."""
    selectors = [(f"[members.{name}] profiles", member.profiles) for name, member in task.members.items()]
    for table, rules in task.rules.items():
        selectors += [(f"[{table}[{index}]] profile", rule.profile) for index, rule in enumerate(rules)]
    for where, patterns in selectors:
        for each in [patterns] if isinstance(patterns, str) else patterns:
            if not any(matches(each, profile) for profile in known):
                raise SpecError(f"{path}: {where} {each!r} names nothing{nearest(each, known)}")


def group_keys(task_name: str, task: Task) -> list[GroupKey]:
    """Return every group of a task, in the order of its spec."""
    return [
        GroupKey(task_name, algorithm, phase, workload)
        for algorithm, entry in task.algorithms.items()
        for phase in task.phases
        if matches(entry.phases, phase)
        for workload, data in task.workloads.items()
        if matches(data.algorithms, algorithm) and matches(data.phases, phase)
    ]


def member_names(task: Task, algorithm: str, phase: str, workload: str, profile: str) -> list[str]:
    """Return the members that stand in one group, in the order of the spec."""
    return [
        name
        for name, member in task.members.items()
        if matches(member.algorithms, algorithm)
        and matches(member.phases, phase)
        and matches(member.workloads, workload)
        and matches(member.profiles, profile)
    ]


def applying(rules: Sequence[_RuleT], key: GroupKey, member: str, profile: str) -> list[_RuleT]:
    """Return the rules that hold for one case, in order."""
    return [
        rule
        for rule in rules
        if matches(rule.algorithm, key.algorithm)
        and matches(rule.phase, key.phase)
        and matches(rule.workload, key.workload)
        and matches(rule.member, member)
        and matches(rule.profile, profile)
    ]
