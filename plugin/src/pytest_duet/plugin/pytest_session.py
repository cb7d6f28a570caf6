"""One pytest session: run a group when its first item is played, and replay to every item its member's rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_duet.api import PairDeclaration
from pytest_duet.binding.live_group import unmeasured_group
from pytest_duet.errors import DuetError, SpecError, StoreError, Undecidable, reason_of
from pytest_duet.plugin import inline_group
from pytest_duet.plugin.gating import Gate
from pytest_duet.plugin.planning import Planner
from pytest_duet.plugin.replay import replay, verify_only
from pytest_duet.records import baselines, machine
from pytest_duet.records.timings import rounds_ns
from pytest_duet.session import Session
from pytest_duet.vocabulary import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.options import Settings
    from pytest_duet.plugin.planning import GroupId, PlannedGroup
    from pytest_duet.records.schema import GroupRecord, MemberRecord, RunRecord


class PytestSession:
    """The groups of this pytest session and their results; without `timed`, only parity and quality are checked."""

    def __init__(self, settings: Settings, root: Path, *, timed: bool, progress: Callable[[str], None]) -> None:
        self.settings, self.timed = settings, timed
        self.run: RunRecord | None = None
        self.saved: Path | None = None
        self.interrupted = False
        self.faults: list[str] = []
        self.groups: dict[GroupId, PlannedGroup] = {}
        self.gate: Gate | None = None
        self._planner = Planner(settings, root)
        self._progress = progress
        private = {str(model): model.name for model in settings.models.values()} | {f"{root}/": ""}
        self.session = Session(settings.results, settings.profile, settings.mode, progress=progress, private=private)
        self.close = self.session.close

    def plan(self, bench_items: Sequence[BenchItem]) -> None:
        """Plan the groups of the selected items, so that a fault is reported before anything runs.

        Raises:
            SpecError: a spec does not fit the session, or a task's modules do not fit its spec.
            DataError: the folder of a user's model cannot be used.
            StoreError: results could not be saved at the end.
            Undecidable: the baseline cannot be read.
        """
        self.groups = self._planner.plan(bench_items)
        if self.settings.plan:
            return
        for group in self.groups.values():
            if not isinstance(group.declaration, PairDeclaration):
                group.bound = self._planner.bind(group)
        if self.timed:
            self.session.check_writable()
            self.gate = self._load_gate() if self.settings.gate else None

    def _load_gate(self) -> Gate:
        try:
            return Gate(self.settings, baselines.load(self.settings.gate, machine.this_machine()))
        except StoreError as error:
            if self.settings.gate_advisory:
                return Gate(self.settings, None, str(error))
            raise Undecidable(f"--duet-gate: {error}") from error

    def play(self, bench_item: BenchItem, benchmark: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Carry out `duet(...)` in the body of one item: run its group if it has not run, then replay this member's rounds."""
        group = self.groups[bench_item.group]
        try:
            inputs = _bind_inputs(bench_item, args, kwargs)
        except SpecError as error:
            pytest.fail(str(error), pytrace=False)
        if group.record is None and group.error is None:
            self._run_first(group, bench_item, inputs)
        if group.error is not None:
            pytest.fail(str(group.error), pytrace=False)
        if inputs.digest != group.inputs.digest:
            why = "the inputs differ from those of the group's first item; make them the same"
            self._withdraw(group, bench_item.member, why)
            pytest.fail(why, pytrace=False)
        assert group.record is not None
        member = next(each for each in group.record.members if each.name == bench_item.member)
        end_item(member)
        if self.timed:
            # The timer that was attached at collection is the one the fixture runs on.
            replay(benchmark, benchmark._timer, group.record, member)  # noqa: SLF001
        else:
            verify_only(benchmark)

    def _run_first(self, group: PlannedGroup, bench_item: BenchItem, inputs: inline_group.Inputs) -> None:
        group.inputs = inputs
        groups = list(self.groups.values())
        after = next(iter(groups[groups.index(group) + 1 :]), None)
        # The next group can be prepared for only if it is bound before its body runs.
        upcoming = (after.bound, after.selected) if after and after.bound else None
        try:
            if group.bound is None:
                group.spec = self._planner.spec(bench_item, inputs)
                group.bound = self._planner.bind(group)
            group.record = self.session.run(group.bound, group.selected, timed=self.timed, upcoming=upcoming)
        except DuetError as error:
            group.error = error
        except Exception as error:
            # A fault of ours or of a task: only the first item shows its traceback.
            group.error = DuetError(reason_of(error))
            raise

    def end(self, bench_item: BenchItem, report: pytest.TestReport) -> None:
        """Note how the item ended if nothing was measured: a benchmark that skips itself does not interrupt the session."""
        group = self.groups[bench_item.group]
        if group.record is None and group.error is None and not report.passed:
            given = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
            reason = given or "it ended before anything was measured"
            group.ended = ("skipped" if report.skipped else "failed", reason)

    def _withdraw(self, group: PlannedGroup, name: str, why: str) -> None:
        """Invalidate the result of member `name`, which was measured on other inputs."""
        assert group.record is not None
        members = [
            msgspec.structs.replace(each, status="invalid", reason=why, cells=[], first_call_ns=None, readings=[])
            if each.name == name and each.status == "ok"
            else each
            for each in group.record.members
        ]
        group.record = self.session.keep(msgspec.structs.replace(group.record, members=members), journal=self.timed)

    def finish(self) -> None:
        """Analyse and save what was measured, as `run` and `saved`."""
        groups = [group.record or self._unmeasured(group) for group in self.groups.values()]
        self.session.complete = all(group.record or group.error or group.ended for group in self.groups.values())
        self.run = self.session.analysed(groups)
        if self.timed and self.session.groups:
            self.saved = self.session.save(self.run)

    def _unmeasured(self, group: PlannedGroup) -> GroupRecord:
        status, reason = group.ended or ("interrupted", "the session ended before it")
        if group.error:
            status, reason = "failed", str(group.error)
        record = unmeasured_group(group.spec, group.selected, status, reason, self.settings.mode.name)
        return self.session.without_paths(record)

    def judge(self, deselected: Sequence[BenchItem], *, narrowed: bool) -> None:
        """Let the gate decide, if there is one and the session was not interrupted."""
        if self.gate is not None and self.run is not None and self.run.complete:
            bench_items = [bench_item for group in self.groups.values() for bench_item in group.bench_items]
            expected = self.gate.expected(bench_items, deselected, narrowed=narrowed)
            self.gate.judge(self.run, expected, self._again)

    def _again(self, cases: Collection[str]) -> RunRecord | None:
        """Measure the groups of `cases` again, as a separate run; return None if none could be measured.

        A group that cannot be measured again is left out. An interrupt ends the repetition.
        """
        records: list[GroupRecord] = []
        for group in self.groups.values():
            spec = group.spec
            ours = {each.case_id(spec.threads, spec.device) for each in group.bench_items}
            if group.bound is None or ours.isdisjoint(cases):
                continue
            self._progress(f"{spec.id}: measured again, because it alarmed")
            try:
                records.append(self.session.run(group.bound, group.selected, keep=False))
            except KeyboardInterrupt:
                self.interrupted = True
                self.session.complete = False
                break
            except Exception as error:  # noqa: BLE001 - the fault of one task must not end the other decisions
                self.faults.append(f"{spec.id} could not be measured again: {reason_of(error)}")
        if not records:
            return None
        again = self.session.analysed(records)
        self.session.save(again)
        return again

    def seconds_of(self, bench_item: BenchItem) -> float | None:
        """Return the total time of the rounds of one item, None if it was not timed."""
        group = self.groups.get(bench_item.group)
        if group is None or group.record is None:
            return None
        member = next(each for each in group.record.members if each.name == bench_item.member)
        return sum(rounds_ns(member)) / 1e9 or None

    def status(self) -> int:
        """Return our own exit status for a session whose tests passed."""
        own = self.session.status(strict=self.settings.strict) if self.gate is None else self.gate.status(self.session)
        return int(own)


def _bind_inputs(bench_item: BenchItem, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inline_group.Inputs:
    if isinstance(bench_item.declaration, PairDeclaration):
        return inline_group.bind_inputs(bench_item.declaration, args, kwargs)
    if args or kwargs:
        raise SpecError("duet(): takes no inputs here; they come from task.toml")
    return inline_group.NO_INPUTS


def end_item(member: MemberRecord) -> None:
    """Skip or fail the current item if `member` is not ok, before pytest-benchmark sees anything of it."""
    reason = f"{member.reason} [reproducer: {member.reproducer}]" if member.reproducer else member.reason
    outcome = STATUSES[member.status].outcome
    if outcome == "skipped":
        # Show the line of the benchmark, not this one.
        raise pytest.skip.Exception(reason, _use_item_location=True)
    if outcome == "failed":
        log = f"\nthe end of its log:\n{member.log}" if member.log else ""
        pytest.fail(f"{member.status}: {reason}{log}", pytrace=False)
