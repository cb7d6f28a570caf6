"""The gate of one pytest session: load the baseline before anything runs, and decide after everything ran."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.analysis.baseline import changes
from pytest_duet.analysis.gate import decide
from pytest_duet.exit_status import Exit
from pytest_duet.ids import CaseId
from pytest_duet.records.summaries import summary_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pytest_duet.analysis.gate import Decided
    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.options import Settings
    from pytest_duet.records.baselines import Baseline
    from pytest_duet.records.schema import RunRecord
    from pytest_duet.session import Session

_NODE = "duet-gate"


@dataclass(eq=False)
class Gate:
    """The baseline of a session and the decisions on its cases; `error` says why there is no baseline.

    Without decisions, nothing was compared: the gate never ran.
    """

    settings: Settings
    baseline: Baseline | None
    error: str = ""
    decisions: list[Decided] = field(default_factory=list)

    def judge(
        self, run: RunRecord, expected: Collection[str], again: Callable[[Collection[str]], RunRecord | None]
    ) -> None:
        """Decide on every case of `run` and on every `expected` case.

        Cases that alarm are passed to `again`, which measures them a second time: an alarm stands only if both runs raise it.
        """
        if self.baseline is None:
            return
        head, given = summary_of_run(run, "this run", "head"), self.settings.margins
        found = changes(head, self.baseline, given, expected=expected)
        alarmed = [each.case for each in found if each.alarm]
        repeated = again(alarmed) if alarmed else None
        if repeated is not None:
            second = summary_of_run(repeated, "second run", "second")
            found = changes(head, self.baseline, given, second=second, expected=expected)
        self.decisions = [decide(each, self.settings.allow_missing) for each in found]

    def status(self, session: Session) -> Exit:
        """Return the exit status from the decisions and from what else went wrong in `session`."""
        advisory = self.settings.gate_advisory
        found = session.status(self.decisions, advisory=advisory, strict=self.settings.strict)
        undecided = self.baseline is None and not advisory
        return Exit.CANNOT_DECIDE if undecided and found in {Exit.PASSED, Exit.UNAVAILABLE} else found

    def expected(
        self, bench_items: Iterable[BenchItem], deselected: Iterable[BenchItem], *, narrowed: bool
    ) -> set[str]:
        """Return the cases that must not be missing: those that ran, and those of the baseline that belong to their tasks.

        Cases that were deselected, or that have another profile, number of threads or device, are not expected. If the
        session was `narrowed` to single tests, only the cases that ran are.
        """
        settings, items = self.settings, list(bench_items)
        ran = {each.case_id(settings.threads, settings.device) for each in items}
        if narrowed or self.baseline is None:
            return ran
        here = {(each.key.task, settings.threads, settings.device) for each in items}
        known = {
            name
            for run in self.baseline.runs
            for name, summary in run.cases.items()
            if (case := CaseId.parse(name)) is not None
            and (case.task, case.threads, case.device) in here
            and summary.conditions.startswith(f"profile {settings.profile},")
        }
        return (known - {each.case_id(settings.threads, settings.device) for each in deselected}) | ran


def report(config: pytest.Config, session: pytest.Session, gate: Gate) -> None:
    """Pass each decision to the reporters as a test of its own, so that JUnit files hold it; skip the terminal."""
    manager = config.pluginmanager
    # The terminal would count them, and --lf would look for them.
    names = ("terminalreporter", "lfplugin", "nfplugin", "stepwiseplugin")
    others = [each for name in names if (each := manager.get_plugin(name))]
    hook = manager.subset_hook_caller("pytest_runtest_logreport", [*others, session])
    for decided in gate.decisions:
        case, text = decided.change.case, f"{decided.decision}: {decided.why}"
        called: tuple[Any, Any] = ("failed", text)
        if decided.decision == "passed":
            called = ("passed", None)
        elif decided.decision == "cannot decide" and gate.settings.gate_advisory:
            called = ("skipped", (_NODE, 0, text))
        location = (_NODE, None, case)
        hook(report=pytest.TestReport(f"{_NODE}::{case}", location, {}, *called, "call"))
        hook(report=pytest.TestReport(f"{_NODE}::{case}", location, {}, "passed", None, "teardown"))
