"""One pytest session: measures a group when the first of its items asks, remembers, and tells every item its part.

Not for hooks (``plugin``) and not for measuring (``measure``).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pytest_duet.analysis.gate import exit_status
from pytest_duet.api import PairDeclaration, SuiteDeclaration
from pytest_duet.errors import DuetError, SpecError, StoreError, Undecidable, nearest, reason_of
from pytest_duet.ids import CaseId
from pytest_duet.measure.group import measure_group
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.plugin import inline_group
from pytest_duet.plugin.gating import Gate
from pytest_duet.plugin.replay import replay, verify_only
from pytest_duet.records import machine
from pytest_duet.records.schema import GroupRecord, MemberRecord
from pytest_duet.records.store import check_writable
from pytest_duet.records.timings import rounds_ns
from pytest_duet.session import Recorder
from pytest_duet.spec.resolve import check_model, load_suite, make_group
from pytest_duet.spec.schema import Profile
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pytest_duet.plugin.items import BenchItem
    from pytest_duet.plugin.options import Settings
    from pytest_duet.records.schema import RunRecord
    from pytest_duet.spec.group import GroupSpec, MemberSpec
    from pytest_duet.vocabulary import Status

GroupId = tuple[str, str, str]


@dataclass(eq=False)
class _Group:
    """One planned group: who was selected, what came of it.

    `ended` is the status and reason of one whose benchmark ended without measuring anything, empty while it did not end.
    """

    bench_items: list[BenchItem] = field(default_factory=list)
    plan: GroupSpec | None = None
    record: GroupRecord | None = None
    error: DuetError | None = None
    ended: tuple[Status, str] | None = None
    inputs: inline_group.Inputs = inline_group.NO_INPUTS


class PytestSession:
    """What pytest-duet knows of this session."""

    def __init__(self, settings: Settings, root: Path, *, timed: bool, progress: Callable[[str], None]) -> None:
        """Plan nothing yet; `timed` is False where only parity and quality are to be checked."""
        self.settings = settings
        self.timed = timed
        self.run: RunRecord | None = None
        self.saved: Path | None = None
        self.recorder = Recorder(settings.results, settings.profile, settings.mode.name)
        self.interrupted = False
        self.faults: list[str] = []
        self._root = root
        self._progress = progress
        self._prewarmed = Prewarmed()
        self._nursery = Spawner()
        self._groups: dict[GroupId, _Group] = {}
        self.gate: Gate | None = None

    # --- before -------------------------------------------------------------------------------------------------------

    def plan(self, bench_items: Sequence[BenchItem]) -> None:
        """Take note of the items that were selected.

        Raises:
            SpecError: the profile is unknown, or a task takes no model that the user has one for.
            DataError: the folder of such a model cannot be used.
            StoreError: results could not be saved in the end.
            Undecidable: the baseline cannot be read.

        """
        for bench_item in bench_items:
            self._groups.setdefault(bench_item.group, _Group()).bench_items.append(bench_item)
        for bench_item in bench_items:
            self.budget(bench_item)
        task_folders = {
            bench_item.declaration.task_folder.parent
            for bench_item in bench_items
            if isinstance(bench_item.declaration, SuiteDeclaration)
        }
        for benches in task_folders:
            for task in self.settings.models:
                check_model(load_suite(benches), task)
        seen: dict[str, GroupId] = {}
        for key, group in self._groups.items():
            name = group.bench_items[0].group_id
            if seen.setdefault(name, key) != key:
                raise SpecError(f"two benchmarks are called {name}, in {seen[name][0]} and {key[0]}; rename one")
            # Made before anything runs, so that a fault in a spec file is said at once.
            if isinstance(group.bench_items[0].declaration, SuiteDeclaration):
                group.plan = self._with_margins(self._suite_plan(group.bench_items[0]))
        if self.timed and not self.settings.plan:
            check_writable(self.settings.results, machine.this_machine())
            self.gate = self._load_gate()

    def _load_gate(self) -> Gate | None:
        """Read the baseline before anything is measured: one that cannot be read is found out now."""
        if not self.settings.gate:
            return None
        try:
            return Gate.load(self.settings)
        except StoreError as error:
            if self.settings.gate_advisory:
                return Gate(self.settings, None, str(error))
            raise Undecidable(f"--duet-gate: {error}") from error

    def plans(self) -> list[tuple[GroupSpec | None, list[BenchItem]]]:
        """Return every group with its plan, None where inputs are only known when the benchmark's body has run."""
        return [(group.plan, group.bench_items) for group in self._groups.values()]

    def budget(self, bench_item: BenchItem) -> Profile:
        """Return the budget of the chosen profile, which a suite may define anew."""
        known = {"smoke": Profile()}
        if isinstance(bench_item.declaration, SuiteDeclaration):
            known = dict(load_suite(bench_item.declaration.task_folder.parent).profiles)
        if self.settings.profile not in known:
            name = self.settings.profile
            raise SpecError(f"--duet-profile: unknown profile {name!r}{nearest(name, known)}")
        return known[self.settings.profile]

    # --- one item -----------------------------------------------------------------------------------------------------

    def play(self, bench_item: BenchItem, benchmark: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Do what `duet(...)` in the body of one item means: measure its group if need be, then this member's part."""
        group = self._groups[bench_item.group]
        try:
            inputs = _bind(bench_item, args, kwargs)
        except SpecError as error:
            pytest.fail(str(error), pytrace=False)
        if group.record is None and group.error is None:
            group.inputs = inputs
            group.plan = group.plan or self._with_margins(self._pair_plan(bench_item, inputs))
            self._measure(group, group.plan)
        if group.error is not None:
            pytest.fail(str(group.error), pytrace=False)
        if inputs.digest != group.inputs.digest:
            why = "the inputs differ from those of the group's first item; make them the same"
            self._withdraw(group, bench_item.member, why)
            pytest.fail(why, pytrace=False)
        assert group.record is not None
        member = next(each for each in group.record.members if each.name == bench_item.member)
        tell(member)
        if self.timed:
            # The timer that was attached at collection is the one the fixture runs on.
            replay(benchmark, benchmark._timer, group.record, member)  # noqa: SLF001
        else:
            verify_only(benchmark)

    def end(self, bench_item: BenchItem, report: pytest.TestReport) -> None:
        """Take note that the item of `bench_item` is over, measured or not: whoever skips a benchmark did not interrupt the session."""
        group = self._groups[bench_item.group]
        if group.record is None and group.error is None and not report.passed:
            given = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
            reason = given or "it ended before anything was measured"
            group.ended = ("skipped" if report.skipped else "failed", reason)

    def _withdraw(self, group: _Group, name: str, why: str) -> None:
        """Take back what was measured of member `name`: it was measured on something else."""
        assert group.record is not None
        members = [
            msgspec.structs.replace(each, status="invalid", reason=why, cells=[], first_call_ns=None, readings=[])
            if each.name == name and each.status == "ok"
            else each
            for each in group.record.members
        ]
        group.record = msgspec.structs.replace(group.record, members=members)
        if self.timed:
            self.recorder.keep(group.record)

    def _pair_plan(self, bench_item: BenchItem, inputs: inline_group.Inputs) -> GroupSpec:
        assert isinstance(bench_item.declaration, PairDeclaration)
        return inline_group.make_pair_group(
            bench_item,
            bench_item.declaration,
            inputs,
            profile=self.settings.profile,
            budget=self.budget(bench_item),
            data_cache=self.settings.cache / "data",
            threads=self.settings.threads,
            device=self.settings.device,
            root=self._root,
        )

    def _suite_plan(self, bench_item: BenchItem) -> GroupSpec:
        assert isinstance(bench_item.declaration, SuiteDeclaration)
        suite = load_suite(bench_item.declaration.task_folder.parent)
        cache = self.settings.cache / "data"
        settings = self.settings
        return make_group(
            suite,
            bench_item.key,
            settings.profile,
            cache,
            threads=settings.threads,
            device=settings.device,
            models=settings.models,
        )

    def _with_margins(self, plan: GroupSpec) -> GroupSpec:
        """Return `plan` with the margins that the user gave in place of the spec's."""
        cases = {each.name: str(CaseId(plan.id, each.name, plan.threads, plan.device)) for each in plan.members}
        given = {name: margin for name, case in cases.items() if (margin := self.settings.margins.given_for(case))}
        return dataclasses.replace(plan, margins={**plan.margins, **given})

    def _measure(self, group: _Group, plan: GroupSpec) -> None:
        try:
            group.record = self._record_of(group, plan, prewarmed=self._prewarmed, upcoming=self._upcoming(group))
        except DuetError as error:
            group.error = error
            return
        except Exception as error:
            # A fault of ours or of a task folder: the first item shows where, the others need not run into it again.
            group.error = DuetError(reason_of(error))
            raise
        if self.timed:
            self.recorder.keep(group.record)

    def _record_of(
        self, group: _Group, plan: GroupSpec, *, prewarmed: Prewarmed | None = None, upcoming: Sequence[MemberSpec] = ()
    ) -> GroupRecord:
        """Measure `group` in the way of this session."""
        try:
            record = measure_group(
                plan,
                selected=[bench_item.member for bench_item in group.bench_items],
                timed=self.timed,
                mode=self.settings.mode,
                progress=self._progress,
                prewarmed=prewarmed,
                spawner=self._nursery,
                upcoming=upcoming,
            )
        finally:
            self._progress("")
        return self._without_places(record)

    def _upcoming(self, group: _Group) -> list[MemberSpec]:
        """Return the members of the group that comes after `group`, as far as they are known before its body runs."""
        groups = list(self._groups.values())
        following = groups[groups.index(group) + 1 :][:1]
        return [
            each.plan.member(bench_item.member) for each in following if each.plan for bench_item in each.bench_items
        ]

    def close(self) -> None:
        """Let go of processes that wait for a group that will not come, and of what workers are forked from."""
        self._prewarmed.close()
        self._nursery.close()

    def _without_places(self, record: GroupRecord) -> GroupRecord:
        """Take the places of this machine out of reasons and logs: a saved run may be shown to anybody."""
        raw = msgspec.json.encode(record)
        for model in self.settings.models.values():
            raw = raw.replace(str(model).encode(), model.name.encode())
        for known, word in ((self._root, ""), (Path.home(), "~/")):
            raw = raw.replace(f"{known}/".encode(), word.encode())
        return msgspec.json.decode(raw, type=GroupRecord)

    # --- after --------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Judge what there is and save it; `run` and `saved` say what came of it."""
        groups = [
            group.record or self._without_places(_unfinished(group, self.settings)) for group in self._groups.values()
        ]
        complete = all(group.record or group.error or group.ended for group in self._groups.values())
        self.run = self.recorder.run(groups, complete=complete)
        if self.timed and any(group.record for group in self._groups.values()):
            self.saved = self.recorder.save(self.run)

    def judge(self, deselected: Sequence[BenchItem], *, narrowed: bool) -> None:
        """Let the gate decide, where there is one and the session came to its end."""
        if self.gate is not None and self.run is not None and self.run.complete:
            bench_items = [bench_item for group in self._groups.values() for bench_item in group.bench_items]
            self.gate.judge(self.run, self.gate.expected(bench_items, deselected, narrowed=narrowed), self._again)

    def _again(self, cases: Collection[str]) -> RunRecord | None:
        """Measure the groups of `cases` once more, as a run of its own; None where nothing came of that.

        A group that cannot be measured again is left out, and after an interrupt all that would follow.
        """
        records: list[GroupRecord] = []
        for group in self._groups.values():
            names = {
                bench_item.case_id(self.settings.threads, self.settings.device) for bench_item in group.bench_items
            }
            if group.plan is None or not names & set(cases):
                continue
            self._progress(f"{group.plan.id}: measured once more, since it alarmed")
            try:
                records.append(self._record_of(group, group.plan))
            except KeyboardInterrupt:
                self.interrupted = True
                break
            except Exception as error:  # noqa: BLE001 - a task's fault must not cost what is decided about the others
                self.faults.append(f"{group.plan.id} could not be measured once more: {reason_of(error)}")
        if not records:
            return None
        again = self.recorder.run(records, complete=not self.interrupted)
        self.recorder.save(again)
        return again

    def seconds_of(self, bench_item: BenchItem) -> float | None:
        """Return the time that the rounds of one item took, None where it was not timed."""
        record = self._groups[bench_item.group].record if bench_item.group in self._groups else None
        if record is None:
            return None
        member = next(each for each in record.members if each.name == bench_item.member)
        return sum(rounds_ns(member)) / 1e9 or None

    def status(self) -> int:
        """Return our own exit status for a session whose tests passed, 0 where nothing is wrong."""
        unavailable = self.settings.strict and self.has_unavailable()
        storage_failed = bool(self.recorder.errors)
        if self.gate is not None:
            return int(self.gate.status(unavailable=unavailable, storage_failed=storage_failed))
        return int(exit_status(None, unavailable=unavailable, storage_failed=storage_failed))

    def has_unavailable(self) -> bool:
        """Say whether a selected framework could not be tried."""
        return any(
            member.status == "unavailable"
            for group in self._groups.values()
            if group.record
            for member in group.record.members
        )


def _bind(bench_item: BenchItem, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inline_group.Inputs:
    if isinstance(bench_item.declaration, PairDeclaration):
        return inline_group.bind_inputs(bench_item.declaration, args, kwargs)
    if args or kwargs:
        raise SpecError("duet(): takes no inputs here; they come from task.toml")
    return inline_group.NO_INPUTS


def tell(member: MemberRecord) -> None:
    """End the current item the way `member` fared, unless it is ok; before pytest-benchmark has seen anything of it."""
    reason = f"{member.reason} [reproducer: {member.reproducer}]" if member.reproducer else member.reason
    if member.status in {"skipped", "unavailable"}:
        # The place to look is the benchmark, not this line.
        raise pytest.skip.Exception(reason, _use_item_location=True)
    if member.status != "ok":
        log = f"\nthe end of its log:\n{member.log}" if member.log else ""
        pytest.fail(f"{member.status}: {reason}{log}", pytrace=False)


def _unfinished(group: _Group, settings: Settings) -> GroupRecord:
    """Return the record of a group that has no measurement: interrupted, never reached, or impossible."""
    first = group.bench_items[0]
    plan = group.plan
    status, reason = group.ended or ("interrupted", "the session ended before it")
    if group.error:
        status, reason = "failed", str(group.error)
    return GroupRecord(
        id=plan.id if plan else first.group_id,
        task=first.task,
        algorithm=first.algorithm,
        phase=first.phase,
        workload=plan.workload if plan else first.workload,
        workload_size="",
        threads=settings.threads,
        device=settings.device,
        dtype="",
        mode=settings.mode.name,
        profile=settings.profile,
        margin=0.05,
        reference="",
        data_digest="",
        verified_only=False,
        elapsed_ns=0,
        members=[
            MemberRecord(
                name=bench_item.member,
                framework=bench_item.framework,
                variant=bench_item.member.partition(".")[2],
                role="rival",
                language="python",
                status=status,
                reason=reason,
            )
            for bench_item in group.bench_items
        ],
    )
