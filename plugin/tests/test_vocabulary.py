"""The table of statuses, and that everything that depends on a status reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from pytest_duet import vocabulary
from pytest_duet.analysis.gate import side
from pytest_duet.report.model import build
from pytest_duet.vocabulary import STATUSES, Meaning, Status

from .samples import group, member, reference, run, without_numbers

if TYPE_CHECKING:
    import pytest


def test_every_status_has_a_meaning() -> None:
    assert get_args(Status) == tuple(STATUSES)


def test_only_ok_passes_and_is_ok_to_a_gate() -> None:
    assert {each for each, meaning in STATUSES.items() if meaning.outcome == "passed"} == {"ok"}
    assert {each for each, meaning in STATUSES.items() if meaning.side == "ok"} == {"ok"}


def test_a_new_status_needs_an_entry_in_the_table_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    new = Meaning("skipped", "bad", "it was bored")
    monkeypatch.setitem(vocabulary.STATUSES, "bored", new)  # type: ignore[misc]  # no status of the type
    report = build(run(group(reference(), without_numbers("tch", "bored", "nothing to do"), member("native"))))
    assert side("bored") == "bad"  # type: ignore[arg-type]  # likewise
    assert report.statuses == (("ok", 2), ("bored", 1))
    assert report.reasons == (("bored: nothing to do", 1),)
