"""Prewarmed processes are fresh, idle before the clock runs, and closed if they are not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.errors import Crashed, Unavailable
from pytest_duet.measure import prewarmed as module
from pytest_duet.measure.prewarmed import Prewarmed
from pytest_duet.spec.group import LaunchSpec, MemberSpec

from .fakes.groups import bound

if TYPE_CHECKING:
    from pytest_duet.binding.bind import BoundGroup

SERVED = LaunchSpec("direct", argv=("python", "serve"))


def _member(name: str, launch: LaunchSpec = SERVED, unsound: str = "") -> MemberSpec:
    return MemberSpec(name, name, "", "rival", "python", launch, unsound=unsound)


def _start(prewarmed: Prewarmed, *members: MemberSpec) -> None:
    prewarmed.start((bound(list(members)), [each.name for each in members]))


def _take(prewarmed: Prewarmed, member: MemberSpec) -> Any:
    return prewarmed.take(bound([member]), member.name)


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

    def open_client(_: BoundGroup, name: str, *, served: bool) -> Any:
        assert served
        written.append(f"open {name}")
        if name == "missing":
            raise Unavailable("no file")
        return Opened(name, written, greets=name != "mute")

    monkeypatch.setattr(module, "open_client", open_client)
    monkeypatch.setattr(module, "ALLOWED", frozenset({0, 1}))
    monkeypatch.setattr(module.os, "setpriority", lambda *_: None)
    return written


def test_a_prewarmed_process_is_handed_out_once_and_renamed_to_its_member(log: list[str]) -> None:
    prewarmed = Prewarmed()
    _start(prewarmed, _member("sklearn"))
    first, second = (_take(prewarmed, _member(name)) for name in ("sklearn.novalidate", "sklearn"))
    assert ["open sklearn", "open sklearn"] == log
    assert ("sklearn.novalidate", "sklearn") == (first.name, second.name)
    assert first is not second


def test_only_a_sound_served_python_member_is_started_early(log: list[str]) -> None:
    nowhere = LaunchSpec("direct", unserved="a lambda")
    prewarmed = Prewarmed()
    _start(
        prewarmed,
        _member("tch", LaunchSpec("process", argv=("tch",))),
        _member("f", nowhere),
        _member("x", unsound="no"),
    )
    assert [] == log


def test_settling_waits_for_every_greeting_even_if_one_fails(log: list[str]) -> None:
    prewarmed = Prewarmed()
    for name in ("mute", "missing", "sklearn"):
        _start(prewarmed, _member(name, LaunchSpec("direct", argv=("serve", name))))
    prewarmed.settle()
    assert ["hello mute", "hello sklearn"] == log[3:]


def test_no_second_process_is_started_while_one_waits(log: list[str]) -> None:
    prewarmed = Prewarmed()
    _start(prewarmed, _member("a"))
    _start(prewarmed, _member("b"))
    assert ["open a"] == log


def test_only_one_process_is_started(log: list[str]) -> None:
    _start(Prewarmed(), _member("a"), _member("b"))
    assert ["open a"] == log


def test_no_process_is_started_on_a_single_cpu(log: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ALLOWED", frozenset({0}))
    _start(Prewarmed(), _member("a"))
    assert [] == log


def test_a_process_that_was_not_taken_is_closed(log: list[str]) -> None:
    prewarmed = Prewarmed()
    for name in ("a", "b"):
        _start(prewarmed, _member(name, LaunchSpec("direct", argv=("serve", name))))
    taken = _take(prewarmed, _member("b", LaunchSpec("direct", argv=("serve", "b"))))
    prewarmed.close()
    prewarmed.close()
    assert ["close a"] == [line for line in log if line.startswith("close")]
    assert "b" == taken.name
