"""The registry of probes: order, reasons, and closing whatever happens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_duet.telemetry import probe as module
from pytest_duet.telemetry.probe import Steps, Unobservable, Unreadable, available, register, unavailable, watch

if TYPE_CHECKING:
    from pytest_duet.records.schema import Reading


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The moments that the only registered probe, `faults`, has seen; it fails on its third sample."""
    seen: list[str] = []
    monkeypatch.setattr(module, "PROBES", {})
    monkeypatch.setattr(module, "available", lambda: list(module.PROBES.values()))

    @register("faults", "faults")
    def faults(_pid: int) -> Steps:
        """Note every moment."""
        try:
            while (moment := (yield)).name != "end":
                if seen.count("sample 0") == 2:
                    raise Unreadable("lost")
                seen.append(f"{moment.name} {moment.elapsed_ns}")
            seen.append(f"end {moment.elapsed_ns}")
            return float(seen.count("sample 0"))
        finally:
            seen.append("close")

    return seen


def _watched(samples: int) -> list[Reading]:
    with watch(os.getpid()) as probes:
        probes.at("prepared", 1)
        probes.at("called", 2)
        probes.at("begin")
        for _ in range(samples):
            probes.at("sample")
        probes.at("end", 1_000_000_000)
        return probes.readings()


def test_a_probe_sees_every_moment_and_is_closed(moments: list[str]) -> None:
    (reading,) = _watched(1)
    assert moments == ["prepared 1", "called 2", "begin 0", "sample 0", "end 1000000000", "close"]
    assert (reading.metric, reading.unit, reading.value, reading.reason) == ("faults", "faults", 1, "")


def test_a_probe_that_fails_midway_has_a_reason_and_is_not_asked_again(moments: list[str]) -> None:
    (reading,) = _watched(4)
    assert (reading.value, reading.reason) == (None, "lost")
    assert moments[-3:] == ["sample 0", "sample 0", "close"]


def test_a_probe_that_cannot_attach_has_a_reason(moments: list[str]) -> None:
    @register("faults", "faults")
    def absent(pid: int) -> Steps:
        """Cannot attach, in place of the other one."""
        raise Unreadable(f"{pid} is hidden")
        yield

    (reading,) = _watched(1)
    assert (reading.value, reading.reason) == (None, f"{os.getpid()} is hidden")
    assert moments == []


def test_an_os_error_of_a_probe_ends_the_observation(moments: list[str]) -> None:
    @register("hidden", "bytes")
    def hidden(_pid: int) -> Steps:
        yield
        raise PermissionError(13, "Permission denied")

    with pytest.raises(Unobservable, match=r"/proc cannot be read: .*Permission denied"):
        _watched(1)
    assert moments == ["prepared 1", "close"]


def test_a_probe_that_does_not_finish_has_a_reason(moments: list[str]) -> None:
    with watch(os.getpid()) as probes:
        (reading,) = probes.readings()
    assert (reading.value, reading.reason) == (None, "no sample could be taken")
    assert moments == ["close"]


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
