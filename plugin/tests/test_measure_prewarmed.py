"""Prewarmed processes are fresh, idle before the clock runs, and closed if they are not taken."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_duet.errors import Crashed, Unavailable
from pytest_duet.measure import prewarmed as module
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.spec.group import LaunchSpec, MemberSpec

SERVED = LaunchSpec("direct", argv=("python", "serve"))


def _member(name: str, start: LaunchSpec = SERVED, unsound: str = "") -> MemberSpec:
    return MemberSpec(name, name, "", "rival", "python", start, unsound=unsound)


class Opened:
    """A worker that logs its requests."""

    def __init__(self, name: str, log: list[str], *, greets: bool) -> None:
        self.name, self._log, self._greets, self.made_for = name, log, greets, name
        self.pid = 0

    def rename(self, name: str) -> None:
        self.name = name

    def hello(self) -> None:
        self._log.append(f"hello {self.made_for}")
        if not self._greets:
            raise Crashed("no import")

    def close(self) -> None:
        self._log.append(f"close {self.made_for}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    written: list[str] = []

    def open_client(plan: MemberSpec, _seconds: float, *, served: bool) -> Any:
        assert served
        written.append(f"open {plan.name}")
        if plan.name == "missing":
            raise Unavailable("no file")
        return Opened(plan.name, written, greets=plan.name != "mute")

    monkeypatch.setattr(module, "open_client", open_client)
    monkeypatch.setattr(module, "ALLOWED", frozenset({0, 1}))
    monkeypatch.setattr(module.os, "setpriority", lambda *_: None)
    return written


def test_a_prewarmed_process_is_handed_out_once_and_renamed_to_its_member(log: list[str]) -> None:
    prewarmed = Prewarmed()
    prewarmed.start([_member("sklearn")], 1.0)
    first, second = (prewarmed.take(_member(name), 1.0) for name in ("sklearn.novalidate", "sklearn"))
    assert ["open sklearn", "open sklearn"] == log
    assert ("sklearn.novalidate", "sklearn") == (first.name, second.name)
    assert first is not second


def test_only_a_sound_served_python_member_is_started_early(log: list[str]) -> None:
    nowhere = LaunchSpec("direct", unserved="a lambda")
    prewarmed = Prewarmed()
    prewarmed.start(
        [_member("tch", LaunchSpec("process", argv=("tch",))), _member("f", nowhere), _member("x", unsound="no")], 1.0
    )
    assert [] == log


def test_settling_waits_for_every_greeting_even_if_one_fails(log: list[str]) -> None:
    prewarmed = Prewarmed()
    for name in ("mute", "missing", "sklearn"):
        prewarmed.start([_member(name, LaunchSpec("direct", argv=("serve", name)))], 1.0)
    prewarmed.settle()
    assert ["hello mute", "hello sklearn"] == log[3:]


def test_no_second_process_is_started_while_one_waits(log: list[str]) -> None:
    prewarmed = Prewarmed()
    prewarmed.start([_member("a")], 1.0)
    prewarmed.start([_member("b")], 1.0)
    assert ["open a"] == log


def test_only_one_process_is_started(log: list[str]) -> None:
    Prewarmed().start([_member("a"), _member("b")], 1.0)
    assert ["open a"] == log


def test_no_process_is_started_on_a_single_cpu(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALLOWED", frozenset({0}))
    Prewarmed().start([_member("a")], 1.0)
    assert [] == log


def test_a_process_that_was_not_taken_is_closed(log: list[str]) -> None:
    prewarmed = Prewarmed()
    for name in ("a", "b"):
        prewarmed.start([_member(name, LaunchSpec("direct", argv=("serve", name)))], 1.0)
    taken = prewarmed.take(_member("b", LaunchSpec("direct", argv=("serve", "b"))), 1.0)
    prewarmed.close()
    prewarmed.close()
    assert ["close a"] == [line for line in log if line.startswith("close")]
    assert "b" == taken.name
