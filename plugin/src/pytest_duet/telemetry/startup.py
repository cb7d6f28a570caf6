"""What a process that has just imported its libraries needs for its first job: cold, unlike timed rounds."""

from __future__ import annotations

from pytest_duet.telemetry.probe import Steps, register, until


@register("prepare_time", "ns", 30)
def prepare_time(_pid: int) -> Steps:
    """Return the time to load the data and prepare the job."""
    return (yield from until("prepared"))


@register("first_call", "ns", 40)
def first_call(_pid: int) -> Steps:
    """Return the time of the first call."""
    return (yield from until("called"))
