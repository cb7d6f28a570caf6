"""The registry of probes: order, reasons, and closing whatever happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_duet.telemetry import probe as module
from pytest_duet.telemetry.probe import Probe, Unreadable, available, register, unavailable, watch

if TYPE_CHECKING:
    from pytest_duet.records.schema import Reading


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The moments that the only registered probe, `faults`, has seen; it fails on its third sample."""
    seen: list[str] = []
    monkeypatch.setattr(module, "PROBES", {})
    monkeypatch.setattr(module, "available", lambda: list(module.PROBES.values()))

    @register
    class Faults(Probe):
        """Notes every moment."""

        name, unit = "faults", "faults"

        def prepared(self, elapsed_ns: int) -> None:
            seen.append(f"prepared {elapsed_ns}")

        def called(self, elapsed_ns: int) -> None:
            seen.append(f"called {elapsed_ns}")

        def begin(self) -> None:
            seen.append("begin")

        def sample(self) -> None:
            if seen.count("sample") == 2:
                raise Unreadable("lost")
            seen.append("sample")

        def end(self, wall_ns: int) -> None:
            seen.append(f"end {wall_ns}")

        def value(self) -> float:
            return float(seen.count("sample"))

        def close(self) -> None:
            seen.append("close")

    return seen


def _watched(samples: int) -> list[Reading]:
    with watch(os.getpid()) as probes:
        probes.prepared(1)
        probes.called(2)
        probes.begin()
        for _ in range(samples):
            probes.sample()
        probes.end(1_000_000_000)
        return probes.readings()


def test_a_probe_sees_every_moment_and_is_closed(moments: list[str]) -> None:
    (reading,) = _watched(1)
    assert moments == ["prepared 1", "called 2", "begin", "sample", "end 1000000000", "close"]
    assert (reading.metric, reading.unit, reading.value, reading.reason) == ("faults", "faults", 1, "")


def test_a_probe_that_fails_midway_has_a_reason_and_is_not_asked_again(moments: list[str]) -> None:
    (reading,) = _watched(4)
    assert (reading.value, reading.reason) == (None, "lost")
    assert moments[-3:] == ["sample", "sample", "close"]


def test_a_probe_that_cannot_attach_has_a_reason(moments: list[str]) -> None:
    @register
    class Absent(Probe):
        """Cannot attach, in place of the other one."""

        name, unit = "faults", "faults"

        def __init__(self, pid: int) -> None:
            raise Unreadable(f"{pid} is hidden")

    (reading,) = _watched(1)
    assert (reading.value, reading.reason) == (None, f"{os.getpid()} is hidden")
    assert moments == []


def test_probes_are_closed_after_an_error(moments: list[str]) -> None:
    with pytest.raises(KeyError), watch(os.getpid()):
        raise KeyError
    assert moments == ["close"]


def test_every_probe_of_the_package_is_found_and_has_a_position_of_its_own() -> None:
    positions = [each.position for each in available()]
    assert positions == sorted(set(positions))
    assert [each.name for each in available()] == [each.metric for each in unavailable("x")]


def test_every_probe_has_a_value_or_a_reason_for_this_process() -> None:
    readings = _watched(1)
    assert readings[0].value
    assert [each.value is None for each in readings] == [bool(each.reason) for each in readings]
