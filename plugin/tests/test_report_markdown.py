"""The table for a README."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_duet.report.markdown import render

from .samples import MACHINE, everything, group, member, reference, run

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


def test_the_table_of_everything(snapshot: SnapshotAssertion) -> None:
    assert snapshot == render(everything(), "20260102T030405.000000Z-0a1b2c3d")


def test_every_row_has_as_many_cells_as_the_title() -> None:
    rows = [line for line in render(everything(), "run").splitlines() if line.startswith("|")]
    assert {len(re.findall(r"\|", row)) for row in rows} == {9}


def test_the_caption_cites_the_run_its_day_its_machine_and_its_profile() -> None:
    caption = render(run(group(reference(), member("native"))), "stem-1").splitlines()[-1]
    for part in ("stem-1", "2026-01-02", MACHINE.cpu, "profile smoke", "this machine, this run"):
        assert part in caption


def test_a_member_that_failed_has_no_number() -> None:
    failed = member("cheat", 1234.0, status="failed", reason="wrong")
    line = next(line for line in render(run(group(reference(), failed)), "run").splitlines() if "cheat" in line)
    assert line == "|  | cheat |  |  | failed: wrong |  |  |  |"
