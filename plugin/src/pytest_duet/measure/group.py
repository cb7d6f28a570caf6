"""Measure one group from its data to its record: parity before speed, members in turns, one member's failure its own.

Not for what follows from the record: ``comparison`` judges, ``plugin`` and ``cli`` report.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_duet.binding import checkpoint
from pytest_duet.binding import member as step
from pytest_duet.binding.member import Files, Member
from pytest_duet.errors import MemberError, Refused, Skipped
from pytest_duet.measure import convergence, pinning
from pytest_duet.measure.mode import DIRECT, Mode
from pytest_duet.measure.observe import observe_members
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.measure.schedule import make_schedule
from pytest_duet.measure.timing import Timing, time_members
from pytest_duet.measure.warmup import PATIENCE_NS, warm_up
from pytest_duet.measure.worker_provider import Fresh, Persistent
from pytest_duet.records.schema import GroupRecord
from pytest_duet.telemetry import cpu
from pytest_duet.validate import attest, parity
from pytest_duet.workers.spawner import Spawner

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from pytest_duet.measure.worker_provider import WorkerProvider
    from pytest_duet.spec.group import GroupSpec, MemberSpec
    from pytest_duet.workers.client import Client

_IDLE_SECONDS = 0.3
_IDLE_BELOW = 0.1
_LOOKS = 3


def measure_group(
    plan: GroupSpec,
    *,
    selected: Collection[str],
    timed: bool,
    mode: Mode = DIRECT,
    progress: Callable[[str], None] = lambda _: None,
    rng: random.Random | None = None,
    prewarmed: Prewarmed | None = None,
    spawner: Spawner | None = None,
    upcoming: Iterable[MemberSpec] = (),
) -> GroupRecord:
    """Return the record of the members of `plan` whose names are in `selected`.

    `prewarmed` are processes that an earlier call started for this one, and that this one starts for `upcoming` members.
    `spawner` starts those that are timed where `mode` wants fresh ones.

    Without `timed` parity and quality are checked and nothing else. A reference that was not selected runs for parity
    alone and is not timed.

    Raises:
        DataError: the data cannot be had.
        SpecError: the spec turns out unusable.

    """
    rng = rng or random.Random()
    started = time.monotonic_ns()
    with ExitStack() as stack:
        members = {name: Member(plan.member(name)) for name in _in_order(plan, selected)}
        session = _Session(plan, members, stack, progress, mode)
        session.check()
        if timed and prewarmed:
            session.progress("waiting for the processes that will be watched")
            prewarmed.settle()
        if timed:
            session.time({name for name in members if name in selected}, rng, spawner or stack.enter_context(Spawner()))
            session.converge(selected)
    if timed and mode.observed:
        session.observe(selected, prewarmed or Prewarmed(), upcoming)
    return GroupRecord(
        id=plan.id,
        task=plan.task,
        algorithm=plan.algorithm,
        phase=plan.phase,
        workload=plan.workload,
        workload_size=plan.workload_size,
        threads=plan.threads,
        device=plan.device,
        dtype=plan.dtype,
        mode=mode.name,
        profile=plan.profile,
        margin=plan.margin,
        margins=dict(plan.margins),
        reference=plan.reference,
        data_digest=session.files.digest,
        verified_only=not timed,
        elapsed_ns=time.monotonic_ns() - started,
        members=[member.record() for name, member in members.items() if name in selected],
        flags=[*session.flags, *_left_behind(members.values())],
    )


def obtain_files(plan: GroupSpec) -> Files:
    """Return the data files of `plan`, made or trained now if they are not in the cache.

    Raises:
        DataError: they cannot be had, or the cache is broken.
        MemberError: the reference cannot train the checkpoint.

    """
    files = Files.of(plan.data())
    return checkpoint.add(plan, files) if plan.checkpoint else files


def _in_order(plan: GroupSpec, selected: Collection[str]) -> list[str]:
    """Return the names to run, the reference first: the others are held against it."""
    rivals = [member.name for member in plan.members if member.name in selected and member.name != plan.reference]
    return [plan.reference, *rivals]


def _left_behind(members: Iterable[Member]) -> Iterator[str]:
    """Yield what a reader must know of members that started processes and did not end them."""
    for member in members:
        if member.left_behind:
            what = "a process" if member.left_behind == 1 else f"{member.left_behind} processes"
            yield f"{member.plan.name} left {what} behind, ended since; such a process may have worked while others were timed"


class _Session:
    """The members of one group while they are alive."""

    def __init__(
        self, plan: GroupSpec, members: dict[str, Member], stack: ExitStack, progress: Callable[[str], None], mode: Mode
    ) -> None:
        self.plan, self.members, self.stack, self.mode = plan, members, stack, mode
        self.reference = members[plan.reference]
        self.flags: list[str] = []
        self._progress = progress
        self.progress("data")
        try:
            self.files = obtain_files(plan)
        except MemberError as error:
            # Without what the reference should have trained nobody can be compared; the record says so.
            self.reference.fail(type(error)(f"checkpoint: {error}"))
            self.files = Files.of(plan.data())

    def progress(self, what: str) -> None:
        """Say what is going on in this group."""
        self._progress(f"{self.plan.id}: {what}")

    # --- parity before speed ------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Bring every member to the point where only time is missing, or to its reason why not."""
        for member in self.members.values():
            if not member.is_ok:
                continue
            if member is not self.reference and not self.reference.is_ok and not member.plan.unsound:
                word = "unavailable" if self.reference.status == "unavailable" else "failed"
                member.fail(Skipped(f"not comparable: reference {self.plan.reference} {word}"))
                continue
            self.progress(f"checking {member.plan.name}")
            with self._blaming(member):
                self._check_member(member)

    def _check_member(self, member: Member) -> None:
        step.enter(member, self.plan, self.stack, served=self.mode.fresh)
        if member.plan.quality_params is not None:
            step.prepare(member, self.plan, self.files, for_quality=True)
            _, judged = step.verify(member)
            step.check_quality(member, self.plan, judged, self.files)
        step.prepare(member, self.plan, self.files)
        member.verified, member.outputs = step.verify(member)
        if member is self.reference:
            _, again = step.verify(member)
            why = parity.describe(step.compare(member, self.plan, member.outputs, again))
            if why:
                raise Refused(f"the reference does not agree with itself: {why}")
        else:
            step.check_parity(member, self.plan, self.reference.outputs)
        if member.plan.quality_params is None:
            step.check_quality(member, self.plan, member.outputs, self.files)
        for effect in self.plan.effects:
            step.check_effect(member, self.plan, effect, self.files)
        if self.plan.effects:
            step.prepare(member, self.plan, self.files)

    @contextlib.contextmanager
    def _blaming(self, member: Member) -> Iterator[None]:
        """Turn what goes wrong inside into the member's own status; the others go on."""
        try:
            yield
        except MemberError as error:
            member.fail(error)

    # --- time ---------------------------------------------------------------------------------------------------------

    def time(self, names: Collection[str], rng: random.Random, spawner: Spawner) -> None:
        """Time every member that is ok and in `names`, interleaved, and check that they tell the truth all the while."""
        self._estimate(names)
        if self.plan.smaller:
            self._check_growth(self.plan.smaller, names)
        ready = {name: each for name, each in self.members.items() if each.is_ok and name in names}
        if not ready:
            return
        budget, stop, pairs = self.plan.budget, self.mode.stop, self._pairs(ready)
        schedule = make_schedule(
            {name: each.call_ns for name, each in ready.items()},
            group_seconds=budget.group_seconds,
            most_calls={name: each.most_calls for name, each in ready.items()},
            cells=stop.least,
            fresh=self.mode.fresh,
            warm_after={name: each.warm_after for name, each in ready.items()},
            pairs=pairs,
            alike=self.mode.alike,
        )
        how = Timing(
            schedule=schedule,
            stop=stop,
            pairs=pairs,
            budget_seconds=budget.group_seconds,
            pinned=self._can_be_pinned(ready.values()),
            check_kept=self._check_kept,
            progress=self.progress,
        )
        timed = time_members(self._provider(ready, spawner, rng), list(ready), how, rng)
        for name, each in ready.items():
            result = timed[name]
            each.calls_per_round, each.cells, each.work = schedule.calls[name], result.cells, result.work
            each.spans = result.spans
            if result.error:
                each.fail(result.error)
        self._blame_reference()

    def _provider(self, ready: Mapping[str, Member], spawner: Spawner, rng: random.Random) -> WorkerProvider:
        if self.mode.fresh:
            return Fresh(ready, self.plan, self.files, spawner, rng)
        return Persistent({name: each.client for name, each in ready.items() if each.client})

    def _pairs(self, ready: Mapping[str, Member]) -> list[tuple[str, str]]:
        """Return the rivals, each with the member it is set against, as far as both are timed."""
        pairs = (
            (each, each.plan.against or self.plan.reference) for each in ready.values() if each.plan.role == "rival"
        )
        return [(each.plan.name, other) for each, other in pairs if other in ready]

    def _can_be_pinned(self, members: Iterable[Member]) -> bool:
        """Say whether members take turns on one processor, and flag what keeps them from being compared so."""
        if self.plan.threads > 1:
            if (busy := cpu.busy_share(_IDLE_SECONDS)) > _IDLE_BELOW:
                self.flags.append(
                    f"other work kept {busy:.0%} of the processors busy; "
                    "several threads can only be compared on an idle machine"
                )
            return False
        unpinned = pinning.obstacle([each.client.pid for each in members if each.client])
        if unpinned:
            self.flags.append(unpinned)
        return not unpinned

    def _estimate(self, names: Collection[str]) -> None:
        """Find out how long one call of each member takes, once warm, and leave out rivals the budget has no room for."""
        budget = self.plan.budget
        for name, each in self.members.items():
            if not each.is_ok or name not in names:
                continue
            assert each.verified is not None
            self.progress(f"estimating {name}")
            with self._blaming(each):
                each.call_ns = step.call_ns(each, each.verified.elapsed_ns)
                # Without the reference's time there is nothing to be too slow against.
                beside_reference = (self.reference.call_ns or math.inf) * budget.call_cap_ratio
                if each is not self.reference and each.call_ns > max(budget.call_cap_seconds * 1e9, beside_reference):
                    raise Skipped(
                        f"too slow: {each.call_ns / 1e9:.3g} s a call, the cap of profile {self.plan.profile} is "
                        f"{budget.call_cap_seconds:g} s or {budget.call_cap_ratio:g} times the reference; "
                        "parity was checked, choose a larger profile to time it"
                    )
                self._warm_up(name, each)
        self._blame_reference()

    def _warm_up(self, name: str, member: Member) -> None:
        """Let `member` run until its times have settled; say where they do not."""
        assert member.client is not None
        self.progress(f"warming {name} up")
        warm = warm_up(member.client, member.call_ns, member.most_calls)
        member.call_ns, member.warm_after = warm.call_ns, warm.calls
        if not warm.settled:
            self.flags.append(
                f"{name}: no steady state within {PATIENCE_NS / 1e9:g} s of rounds; its times may still have been changing"
            )

    def _check_growth(self, smaller: GroupSpec, names: Collection[str]) -> None:
        """Give every member an eighth of the work and hold the time it saves against what the reference saves."""
        # The weights are those that were checked: only the work gets smaller.
        files = Files.of(smaller.data())
        files = checkpoint.reuse(files, self.files) if smaller.checkpoint else files
        for name, each in self.members.items():
            if not each.is_ok or name not in names:
                continue
            self.progress(f"checking that the time of {name} grows with work")
            with self._blaming(each):
                looks = self._looks_at_growth(each, smaller, files)
                each.grown = attest.check_growth(looks, self.reference.grown, name=name)
        self._blame_reference()

    def _looks_at_growth(self, member: Member, smaller: GroupSpec, files: Files) -> Iterator[float]:
        """Yield how many times as long a call takes as one of `smaller`; after each look `member` is as it was."""
        for look in range(_LOOKS):
            if look:
                member.call_ns = step.call_ns(member, member.call_ns)
            step.prepare(member, smaller, files)
            small_ns = step.call_ns(member, member.call_ns)
            step.prepare(member, self.plan, self.files)
            yield member.call_ns / small_ns

    def _check_kept(self, name: str, client: Client, digest: str | None) -> None:
        """Hold the output of a timed round, drawn at random, to the tolerance: nobody is right once and fast later."""
        member = self.members[name]
        kept = step.kept_outputs(client, digest)
        records = step.compare(member, self.plan, self.reference.outputs, kept)
        why = parity.describe(records)
        if why:
            member.parity = records
            raise Refused(f"a timed round gave another answer than the check: {why}")

    def _blame_reference(self) -> None:
        """Once the reference has failed nobody can be compared with it."""
        if self.reference.is_ok:
            return
        for member in self.members.values():
            if member.is_ok:
                member.fail(Skipped(f"not comparable: reference {self.plan.reference} {self.reference.status}"))

    def converge(self, names: Collection[str]) -> None:
        """Find out how long each member that is ok takes to come to a solution that is good enough."""
        if self.plan.convergence is None:
            return
        ready = {name: each for name, each in self.members.items() if each.is_ok and name in names}
        readings = convergence.time_to_goal(ready, self.plan.convergence, self.files, self.progress)
        for name, each in ready.items():
            each.readings = readings[name]

    # --- resources ----------------------------------------------------------------------------------------------------

    def observe(self, selected: Collection[str], prewarmed: Prewarmed, upcoming: Iterable[MemberSpec]) -> None:
        """Watch a fresh process of every member that is ok; one that breaks the thread promise loses its times."""
        members = [member for name, member in self.members.items() if name in selected and member.is_ok]
        observe_members(members, self.plan, self.files, self.progress, prewarmed, upcoming)
        self._blame_reference()
