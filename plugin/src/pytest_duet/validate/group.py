"""Validate the members of a group before any is timed: attested, of sound quality, and in parity with the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.binding.member import Files
from pytest_duet.errors import MemberError, Refused, Skipped
from pytest_duet.spec.derived import with_param
from pytest_duet.validate import parity
from pytest_duet.validate.checkpoint import obtain_files
from pytest_duet.validate.quality import check_quality

if TYPE_CHECKING:
    from pytest_duet.binding.bind import Arrays, BoundGroup
    from pytest_duet.binding.group import LiveGroup
    from pytest_duet.binding.member import Member
    from pytest_duet.records.schema import ParityRecord
    from pytest_duet.spec.group import EffectSpec


def check_members(live: LiveGroup) -> None:
    """Bring every member to the point where only time is missing, or to its reason why not.

    Raises:
        DataError: the data cannot be had.
        SpecError: the spec turns out unusable.

    """
    live.progress("data")
    try:
        live.files = obtain_files(live.group)
    except MemberError as error:
        # Without what the reference should have trained nothing can be compared; the record gives the reason.
        live.reference.fail(type(error)(f"checkpoint: {error}"))
        live.files = Files.of(live.group.data_set())
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
    group, files = live.group, live.files
    member.open(group, live.stack, served=live.served)
    if member.spec.quality_params is not None:
        member.prepare(group, files, for_quality=True)
        _, judged = member.verify()
        check_quality(member, group, judged, files)
    member.prepare(group, files)
    reply, member.outputs = member.verify()
    member.iterations, member.converged, member.first_call_ns = reply.iterations, reply.converged, reply.elapsed_ns
    if member is live.reference:
        _, again = member.verify()
        why = parity.describe(compare(member, group, member.outputs, again))
        if why:
            raise Refused(f"the reference does not agree with itself: {why}")
    else:
        member.parity = compare(member, group, live.reference.outputs, member.outputs)
        why = parity.describe(member.parity)
        if why:
            raise Refused(f"parity with {live.spec.reference} failed: {why}")
    if member.spec.quality_params is None:
        check_quality(member, group, member.outputs, files)
    for effect in live.spec.effects:
        check_effect(member, group, effect, files)
    if live.spec.effects:
        member.prepare(group, files)


def compare(member: Member, group: BoundGroup, reference: Arrays, outputs: Arrays) -> list[ParityRecord]:
    """Return how `outputs` of `member` compare with `reference`, by the rules of the member and the checks of the group."""
    checks = {**parity.CHECKS, **group.checks}
    return parity.compare_outputs(reference, outputs, member.spec.parity, dtype=group.spec.dtype, checks=checks)


def check_effect(member: Member, group: BoundGroup, effect: EffectSpec, files: Files) -> None:
    """Refuse a member whose outputs stay the same under another setting: it ignores the parameter.

    The job of `group` must be prepared again afterwards.

    Raises:
        Refused: every output stays within its tolerance.

    """
    if effect.param not in member.spec.params:
        return
    member.prepare(group.derived(with_param(group.spec, effect.param, effect.value)), files)
    _, outputs = member.verify()
    if not parity.describe(compare(member, group, member.outputs, outputs)):
        msg = f"{effect.param} has no effect: {effect.factor:g} times as large, it leaves every output within its tolerance"
        raise Refused(msg)


def check_kept(live: LiveGroup, member: Member, outputs: Arrays) -> None:
    """Refuse a member whose kept outputs, of a timed round drawn at random, are not within tolerance of the reference's.

    Raises:
        Refused: they are too far apart: it was right when checked and did something else when timed.

    """
    records = compare(member, live.group, live.reference.outputs, outputs)
    why = parity.describe(records)
    if why:
        member.parity = records
        raise Refused(f"a timed round gave another answer than the check: {why}")
