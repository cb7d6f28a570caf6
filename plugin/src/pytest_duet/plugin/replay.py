"""Pass durations that were measured elsewhere to pytest-benchmark, through its public API alone."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_duet.plugin.signals import STOPS
from pytest_duet.records.summaries import conditions_of
from pytest_duet.records.timings import rounds_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.records.schema import GroupRecord, MemberRecord


class VirtualTimer:
    """A clock that jumps from zero by one duration: exact, where a running clock would round."""

    __name__ = "duet_worker_clock"

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time, in seconds."""
        return self.now


def replay(benchmark: Any, timer: VirtualTimer, group: GroupRecord, member: MemberRecord) -> None:
    """Replay the rounds of `member` to `benchmark`, each in seconds a call."""
    benchmark.extra_info["duet"] = {
        "case": group.case_id(member.name),
        "conditions": conditions_of(group),
        "group": group.id,
        "member": member.name,
        "reference": group.reference,
        "calls_per_round": member.calls_per_round,
        "cells_ns": member.cells,
        "quality": {bound.metric: bound.value for bound in member.quality if isinstance(bound.value, int | float)},
        "peak_memory_bytes": next((r.value for r in member.readings if r.metric == "peak_memory"), None),
    }
    seconds = [ns / member.calls_per_round / 1e9 for ns in rounds_ns(member)]
    position = iter(seconds)

    def rewind() -> None:
        timer.now = 0.0

    def jump() -> None:
        timer.now = next(position)

    with _interrupt_later():
        benchmark.pedantic(jump, setup=rewind, rounds=len(seconds), iterations=1)


def verify_only(benchmark: Any) -> None:
    """Tell pytest-benchmark, which is disabled, that its fixture was used."""
    benchmark.pedantic(lambda: None)


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Delay Ctrl-C until the replay is over: an interrupted replay would leave pytest-benchmark without statistics."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    held = (signal.SIGINT, *STOPS)
    before = {each: signal.signal(each, lambda number, _: caught.append(number)) for each in held}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if caught:
            signal.raise_signal(caught[0])
