"""What a process that has just imported its libraries needs for its first job: cold, unlike timed rounds."""

from __future__ import annotations

from pytest_duet.telemetry.probe import Probe, register


@register
class PrepareTime(Probe):
    """The time to load the data and prepare the job."""

    name, unit, position = "prepare_time", "ns", 30

    def prepared(self, elapsed_ns: int) -> None:
        """Note the time."""
        self.found = elapsed_ns


@register
class FirstCall(Probe):
    """The time of the first call."""

    name, unit, position = "first_call", "ns", 40

    def called(self, elapsed_ns: int) -> None:
        """Note the time."""
        self.found = elapsed_ns
