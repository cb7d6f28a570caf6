"""Estimate how long one call of each member takes, once it is warm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_duet.errors import Skipped
from pytest_duet.measure.warmup import warm_up

if TYPE_CHECKING:
    from pytest_duet.binding.group import LiveGroup


def estimate_calls(live: LiveGroup) -> None:
    """Estimate the call of every member that is ok and has no estimate yet; skip rivals that are too slow for the budget."""
    budget = live.spec.budget
    for name, member in live.ready().items():
        if member.call_ns:
            continue
        assert member.first_call_ns is not None
        assert member.client is not None
        live.progress(f"estimating {name}")
        with live.blaming(member):
            member.call_ns = member.pilot_ns(member.first_call_ns)
            # Without the reference's time there is nothing to be too slow against.
            beside_reference = (live.reference.call_ns or math.inf) * budget.call_cap_ratio
            if member is not live.reference and member.call_ns > max(budget.call_cap_seconds * 1e9, beside_reference):
                raise Skipped(
                    f"too slow: {member.call_ns / 1e9:.3g} s a call, the cap of profile {live.spec.profile} is "
                    f"{budget.call_cap_seconds:g} s or {budget.call_cap_ratio:g} times the reference; "
                    "parity was checked, choose a larger profile to time it"
                )
            live.progress(f"warming {name} up")
            warm = warm_up(member.client, member.call_ns, member.most_calls)
            member.call_ns, member.warm_after, member.settled = warm.call_ns, warm.calls, warm.settled
    live.require_reference()
