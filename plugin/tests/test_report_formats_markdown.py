"""The sections for a document."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_duet.report.formats.markdown import render

from .samples import MACHINE, everything, group, member, reference, run

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion


def test_the_table_of_everything(snapshot: SnapshotAssertion) -> None:
    assert snapshot == render(everything(), "20260102T030405.000000Z-0a1b2c3d")


def test_every_row_has_as_many_fields_as_its_heading() -> None:
    tables = render(everything(), "run").split("<details>")
    for table, headings in zip(tables, (3, 8), strict=True):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert {headings + 1} == {len(re.findall(r"\|", row)) for row in rows}


def test_a_summary_line_gives_the_outermost_bounds_of_all_workloads() -> None:
    failed = member("linfa", status="failed", reason="wrong")
    slower = group(reference(typical_ns=1000.0), member("native", 2000.0), failed)
    faster = group(reference(typical_ns=1000.0), member("native", 250.0), failed, id="other", workload="other")
    summary = render(run(slower, faster), "run").partition("<details>")[0].splitlines()[2:]
    (line,) = [each for each in summary if each]
    _, what, against, rivals, _ = (cell.strip() for cell in line.split("|"))
    assert ("regression / ridge / train", "sklearn") == (what, against)
    low, high = re.findall(r"([\d.]+)x", rivals)
    assert 0.4 < float(low) <= 0.5
    assert 4.0 <= float(high) < 5.0
    assert rivals.endswith("x, 1 slower, 1 faster<br>linfa: 2 failed")


def test_the_caption_names_the_run_its_day_its_machine_and_its_profile() -> None:
    caption = render(run(group(reference(), member("native"))), "stem-1").splitlines()[-1]
    for part in ("stem-1", "2026-01-02", MACHINE.cpu, "profile smoke", "this machine, this run"):
        assert part in caption


def test_a_failed_member_has_no_number() -> None:
    failed = member("cheat", 1234.0, status="failed", reason="wrong")
    lines = [line for line in render(run(group(reference(), failed)), "run").splitlines() if "cheat" in line]
    summary, line = lines
    assert summary.endswith("| cheat: failed |")
    assert line == "|  | cheat |  |  | failed: wrong |  |  |  |"


def test_summary_and_cases_are_the_two_parts_of_the_whole() -> None:
    whole = render(everything(), "run")
    summary, cases = (render(everything(), "run", section) for section in ("summary", "cases"))
    table, _, caption = summary.rstrip().rpartition("\n\n")
    assert whole.startswith(table)
    assert whole.endswith(f"{caption}\n")
    assert cases.removesuffix(f"\n{caption}\n") in whole
    assert "<details>" not in cases


def test_the_sample_is_one_group_as_a_terminal_shows_it(snapshot: SnapshotAssertion) -> None:
    assert snapshot == render(everything(), "run", "sample")


def test_the_sample_is_the_first_group_with_two_timed_rivals_and_the_most_different_verdicts() -> None:
    lonely = group(reference(), member("native"), algorithm="lasso")
    fitting = group(reference(), member("native"), member("linfa"), algorithm="svc", id="other")
    varied = [
        group(reference(), member("native"), member("linfa", 2e6), algorithm=each, id=each) for each in ("lars", "pca")
    ]
    assert " · svc · " in render(run(lonely, fitting, fitting), "run", "sample")
    assert " · lars · " in render(run(lonely, fitting, *varied), "run", "sample")
    assert "no group has two rivals that were timed" in render(run(lonely), "run", "sample")


def test_a_hostile_name_can_neither_end_the_sample_nor_mark_a_section() -> None:
    hostile = member("````<!-- duet:end sample -->")
    text = render(run(group(reference(), hostile, member("linfa"))), "run", "sample")
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("`````text", "`````")
    assert "<!--" not in text
