"""The gate of one pytest session: reads its baseline before anything runs, decides when all is measured, and reports it.

Not for the policy (``gate``) nor for the comparison (``baseline``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.analysis.baseline import changes
from pytest_duet.analysis.gate import decide
from pytest_duet.exit_status import Exit
from pytest_duet.ids import CaseId
from pytest_duet.records.store import load_baseline, machine
from pytest_duet.records.summaries import summary_of_run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from pytest_duet.analysis.baseline import Baseline
    from pytest_duet.analysis.gate import Decided
    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.options import Settings
    from pytest_duet.records.schema import RunRecord
    from pytest_duet.session import Session

_NODE = "duet-gate"


@dataclass(eq=False)
class Gate:
    """What the session is held against, and what came of it; `error` says why there is nothing to hold it against.

    A gate that was never asked has no `decisions`, so nothing was compared.
    """

    settings: Settings
    baseline: Baseline | None
    error: str = ""
    decisions: list[Decided] = field(default_factory=list)

    @classmethod
    def load(cls, settings: Settings) -> Gate:
        """Read the baseline that was asked for.

        Raises:
            StoreError: it cannot be read.

        """
        return cls(settings, load_baseline(settings.gate, machine()))

    def judge(
        self, run: RunRecord, expected: Collection[str], again: Callable[[Collection[str]], RunRecord | None]
    ) -> None:
        """Decide of every case of `run` and of every case that was `expected`.

        What alarms is measured `again`, given the cases: an alarm stands only if both runs raise it.
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
        """Return the status that follows, together with what else may be wrong in `session`."""
        advisory = self.settings.gate_advisory
        found = session.status(self.decisions, advisory=advisory, strict=self.settings.strict)
        blind = self.baseline is None and not advisory
        return Exit.CANNOT_DECIDE if blind and found in {Exit.PASSED, Exit.UNAVAILABLE} else found

    def expected(
        self, bench_items: Iterable[BenchItem], deselected: Iterable[BenchItem], *, narrowed: bool
    ) -> set[str]:
        """Return the cases that must be there: those that ran, and of their tasks those of the baseline.

        Not what was deselected, nor what another profile, number of threads or device has; and where the session was
        `narrowed` to single tests, nothing that was not named.
        """
        settings = self.settings
        items = list(bench_items)
        ran = {each.case_id(settings.threads, settings.device) for each in items}
        if narrowed or self.baseline is None:
            return ran
        here = {(each.task, settings.threads, settings.device) for each in items}
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
    """Tell every reporter but the terminal of each decision as a test of its own, so that JUnit files have them."""
    manager = config.pluginmanager
    # The terminal would count them, and --lf would look for them.
    names = ("terminalreporter", "lfplugin", "nfplugin", "stepwiseplugin")
    others = [each for name in names if (each := manager.get_plugin(name))]
    hook = manager.subset_hook_caller("pytest_runtest_logreport", [*others, session])
    for decided in gate.decisions:
        for when in ("call", "teardown"):
            hook(report=_report(decided, when, advisory=gate.settings.gate_advisory))


def _report(decided: Decided, when: Any, *, advisory: bool) -> pytest.TestReport:
    nodeid = f"{_NODE}::{decided.change.case}"
    location = (_NODE, None, decided.change.case)
    outcome: Any = "passed"
    longrepr: Any = None
    text = f"{decided.decision}: {decided.why}"
    if when == "call" and decided.decision != "passed":
        forgiven = advisory and decided.decision == "cannot decide"
        outcome = "skipped" if forgiven else "failed"
        longrepr = (_NODE, 0, text) if forgiven else text
    return pytest.TestReport(nodeid, location, {}, outcome, longrepr, when)
