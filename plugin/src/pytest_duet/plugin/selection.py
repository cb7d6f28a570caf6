"""Which items the exact selectors keep, and which other options cannot be used with ours.

Not for ``-k`` and node ids: pytest has dealt with those before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import framework_of
from pytest_duet.plugin.items import bench_item_of
from pytest_duet.spec.selectors import matches

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.plugin.options import Settings

_REFUSED = {
    "benchmark_cprofile": ("--benchmark-cprofile", "it would profile the replay of durations measured before"),
    "benchmark_compare_fail": (
        "--benchmark-compare-fail",
        "it alarms on unchanged code and hides our exit status; hold the run against earlier ones with --duet-gate",
    ),
}


def deselect(settings: Settings, root: Path, items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the items that the selectors leave out.

    Raises:
        pytest.UsageError: a name selects nothing that exists.

    """
    check_names(settings, root, items)
    dropped = set()
    for item in items:
        bench_item = bench_item_of(item)
        for selector, names in settings.selected.items():
            # A framework's name means its variants too; a full member name means that variant alone.
            values = {
                str(getattr(bench_item, selector)),
                bench_item.member if selector == "framework" and bench_item else "",
            }
            if not any(matches(names, value) for value in values):
                dropped.add(item)
    return dropped


def check_names(settings: Settings, root: Path, items: list[pytest.Item]) -> None:
    """Hold every selected name against those that exist, collected or not.

    Raises:
        pytest.UsageError: one does not exist; the nearest that does is named.

    """
    known = _known(root, items)
    for selector, names in settings.selected.items():
        for name in names:
            if not any(matches(name, each) for each in known[selector]):
                raise pytest.UsageError(
                    f"--duet-{selector}: unknown {selector} {name!r}{nearest(name, known[selector])}"
                )


def check_unused(settings: Settings, root: Path) -> None:
    """Hold the names against the suite even where nothing of ours was collected: a typo must not look like success.

    Raises:
        pytest.UsageError: as `check_names`.

    """
    if settings.selected and (root / "benches" / "frameworks.toml").exists():
        check_names(settings, root, [])


def refuse_conflicts(settings: Settings, config: pytest.Config) -> None:
    """Refuse options of pytest-benchmark that would mean something else here.

    Raises:
        pytest.UsageError: one of them is set.

    """
    for name, (option, why) in _REFUSED.items():
        if config.getoption(name, default=None):
            raise pytest.UsageError(f"{option} cannot be used with pytest-duet's benchmarks: {why}")
    for name in ("benchmark_disable", "benchmark_skip"):
        if settings.gate and config.getoption(name, default=False):
            raise pytest.UsageError(f"--duet-gate needs times: drop --{name.replace('_', '-')}")


def _known(root: Path, items: list[pytest.Item]) -> dict[str, set[str]]:
    from pytest_duet.spec.suite import load_suite

    known: dict[str, set[str]] = {"task": set(), "algorithm": set(), "framework": set(), "phase": set()}
    for item in items:
        bench_item = bench_item_of(item)
        if bench_item:
            known["task"].add(bench_item.task)
            known["algorithm"].add(bench_item.algorithm)
            known["phase"].add(bench_item.phase)
            known["framework"] |= {bench_item.framework, bench_item.member}
    benches = root / "benches"
    if (benches / "frameworks.toml").exists():
        try:
            suite = load_suite(benches)
        except SpecError as error:
            raise pytest.UsageError(str(error)) from error
        for name, task in suite.tasks.items():
            known["task"].add(name)
            known["algorithm"] |= task.algorithms.keys()
            known["phase"] |= set(task.phases)
            known["framework"] |= task.members.keys() | {framework_of(member) for member in task.members}
    return known
