"""Validate the members of a group before any is timed: attested, of sound quality, and in parity with the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.errors import Refused, Skipped
from pytest_duet.spec.derived import with_param
from pytest_duet.validate import parity
from pytest_duet.validate.checkpoint import load_files
from pytest_duet.validate.quality import check_quality

if TYPE_CHECKING:
    from pytest_duet.binding.bind import Arrays, BoundGroup
    from pytest_duet.binding.datasets import DataSet
    from pytest_duet.binding.live_group import LiveGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.records.schema import ParityRecord
    from pytest_duet.spec.group import EffectSpec


def check_members(live: LiveGroup) -> None:
    """Check every member, so that each is ready to be timed or has the reason why it is not.

    Raises:
        DataError: the data cannot be made.
        SpecError: the spec turns out to be unusable.
    """
    load_files(live)
    for member in live.members.values():
        if not member.is_ok:
            continue
        if member is not live.reference and not live.reference.is_ok and not member.spec.unsound:
            word = "unavailable" if live.reference.status == "unavailable" else "failed"
            member.fail(Skipped(f"not comparable: reference {live.spec.reference} {word}"))
            continue
        live.progress(f"checking {member.name}")
        with live.blaming(member):
            _check(live, member)


def _check(live: LiveGroup, member: Member) -> None:
    group, files, own_quality_job = live.group, live.files, member.spec.quality_params is not None
    member.open(group, live.stack, served=live.served)
    if own_quality_job:
        member.prepare(group, files, for_quality=True)
        check_quality(member, group, member.verify()[1], files)
    member.prepare(group, files)
    reply, member.outputs = member.verify()
    member.iterations, member.converged, member.first_call_ns = reply.iterations, reply.converged, reply.elapsed_ns
    if member is live.reference:
        if why := parity.describe(_compare(member, group, member.outputs, member.verify()[1])):
            raise Refused(f"the reference does not agree with itself: {why}")
    else:
        member.parity = _compare(member, group, live.reference.outputs, member.outputs)
        if why := parity.describe(member.parity):
            raise Refused(f"parity with {live.spec.reference} failed: {why}")
    if not own_quality_job:
        check_quality(member, group, member.outputs, files)
    for effect in live.spec.effects:
        _check_effect(member, group, effect, files)
    if live.spec.effects:
        member.prepare(group, files)


def _compare(member: Member, group: BoundGroup, reference: Arrays, outputs: Arrays) -> list[ParityRecord]:
    """Return how `outputs` of `member` compare with `reference`, by the member's rules and the group's checks."""
    checks = {**parity.CHECKS, **group.checks}
    return parity.compare_outputs(reference, outputs, member.spec.parity, dtype=group.spec.dtype, checks=checks)


def _check_effect(member: Member, group: BoundGroup, effect: EffectSpec, files: DataSet) -> None:
    """Refuse a member that ignores a parameter: its outputs stay the same when the parameter changes.

    The job of `group` must be prepared again afterwards.
    """
    if effect.param not in member.spec.params:
        return
    member.prepare(group.derived(with_param(group.spec, effect.param, effect.value)), files)
    if not parity.describe(_compare(member, group, member.outputs, member.verify()[1])):
        msg = f"{effect.param} has no effect: {effect.factor:g} times as large, it leaves every output within its tolerance"
        raise Refused(msg)


def check_kept(live: LiveGroup, member: Member, outputs: Arrays) -> None:
    """Check `outputs` of a timed round, drawn at random, against the reference's.

    Raises:
        Refused: they are not within tolerance: the member did something else when timed than when it was checked.
    """
    records = _compare(member, live.group, live.reference.outputs, outputs)
    if why := parity.describe(records):
        member.parity = records
        raise Refused(f"a timed round gave another answer than the check: {why}")
