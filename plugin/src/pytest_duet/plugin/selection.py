"""Apply the exact selectors, and refuse options of pytest-benchmark that conflict with ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import SpecError, nearest
from pytest_duet.ids import framework_of
from pytest_duet.plugin.items import bench_item_of
from pytest_duet.plugin.options import SELECTORS
from pytest_duet.spec.selectors import matches
from pytest_duet.spec.suite import load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.plugin.options import Settings

_REFUSED = {
    "cprofile": "it would profile the replay of durations that were measured before",
    "compare-fail": "it alarms on unchanged code and hides our exit status; compare with earlier runs by --duet-gate",
}


def deselect(settings: Settings, root: Path, items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the items that the selectors exclude.

    Raises:
        pytest.UsageError: a name selects nothing that exists.
    """
    check_names(settings, root, items)
    return {
        item
        for item in items
        for selector, names in settings.selected.items()
        if (ours := bench_item_of(item)) and not any(matches(names, name) for name in ours.names(selector))
    }


def check_names(settings: Settings, root: Path, items: list[pytest.Item]) -> None:
    """Check that every selected name exists, even where no benchmark was collected: a typo must not look like success.

    Raises:
        pytest.UsageError: one does not exist; the message names the nearest that does.
    """
    known = _known(root, items)
    for selector, names in settings.selected.items() if any(known.values()) else ():
        for name in names:
            if not any(matches(name, each) for each in known[selector]):
                hint = nearest(name, known[selector])
                raise pytest.UsageError(f"--duet-{selector}: unknown {selector} {name!r}{hint}")


def refuse_conflicts(settings: Settings, config: pytest.Config) -> None:
    """Refuse options of pytest-benchmark that have another meaning here.

    Raises:
        pytest.UsageError: one of them is set.
    """
    for name, why in _REFUSED.items():
        if config.getoption(f"--benchmark-{name}", default=None):
            raise pytest.UsageError(f"--benchmark-{name} cannot be used with pytest-duet's benchmarks: {why}")
    for name in ("--benchmark-disable", "--benchmark-skip"):
        if settings.gate and config.getoption(name, default=False):
            raise pytest.UsageError(f"--duet-gate needs times: drop {name}")


def _known(root: Path, items: list[pytest.Item]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {selector: set() for selector in SELECTORS}
    for item in items:
        if bench_item := bench_item_of(item):
            for selector, names in known.items():
                names.update(bench_item.names(selector))
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
