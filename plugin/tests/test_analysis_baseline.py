"""A run against earlier runs of the same machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_duet.analysis import baseline
from pytest_duet.analysis.baseline import Baseline, changes
from pytest_duet.analysis.gate import decide
from pytest_duet.analysis.margins import Margins, parse
from pytest_duet.records.summaries import CaseSummary, RunSummary, summary_from_seconds, summary_of_run

from .samples import cells, group, member, reference, run, without_numbers

if TYPE_CHECKING:
    from pytest_duet.records.schema import Change

CASE = "cnn/lenet-train-digits/tch"
NOISE = [0.011, -0.008, 0.003, -0.012, 0.006, 0.0, -0.004, 0.009, -0.01, 0.007, 0.002, -0.006]


def figures(log_ns: float | None = 14.0, name: str = "head", status: str = "ok", **changes: object) -> RunSummary:
    figure = CaseSummary(
        status=status, log_ns=log_ns, conditions="smoke", margin=0.05, reason=str(changes.pop("reason", ""))
    )
    plain = {"created": name, "tool": "pytest-duet", "fingerprint": "aa", "machine": "Example", "digest": name}
    return RunSummary(**{**plain, "source": f"{name}.json", "cases": {CASE: figure}, **changes})


def history(count: int = 12, spread: float = 1.0, **changes: object) -> Baseline:
    runs = [figures(14.0 + spread * noise, f"run{index:02}", **changes) for index, noise in enumerate(NOISE[:count])]
    return Baseline(schema=baseline.SCHEMA, created="2026", runs=runs)


def only(found: list[Change]) -> Change:
    (change,) = found
    return change


@pytest.mark.parametrize(
    ("ratio", "verdict", "alarm"), [(1.3, "slower", True), (1.0, "equivalent", False), (0.7, "faster", False)]
)
def test_a_clear_change_gets_its_word_and_only_a_slower_one_alarms(ratio: float, verdict: str, *, alarm: bool) -> None:
    change = only(changes(figures(14.0 + math.log(ratio)), history(), Margins()))
    assert (change.verdict, change.alarm, change.units) == (verdict, alarm, 12)
    assert change.ratio == pytest.approx(ratio, rel=1e-2)
    assert change.interval.low < change.judged.low < change.ratio < change.judged.high < change.interval.high


def test_one_alarm_waits_for_a_second_run_that_confirms_or_clears_it() -> None:
    slow, quiet = figures(14.3), figures(14.0, "again")
    for second, decision in ((None, "cannot decide"), (figures(14.29, "again"), "regression"), (quiet, "passed")):
        change = only(changes(slow, history(), Margins(), second=second))
        assert decision == decide(change).decision, second


def test_a_second_run_that_is_wrong_is_invalid_and_one_without_the_case_confirms_nothing() -> None:
    wrong = figures(None, "again", "failed", reason="parity")
    assert decide(only(changes(figures(14.3), history(), Margins(), second=wrong))).decision == "invalid"
    empty = msgspec.structs.replace(figures(), cases={}, digest="again")
    assert decide(only(changes(figures(14.3), history(), Margins(), second=empty))).decision == "cannot decide"


@pytest.mark.parametrize("count", [1, 2, 9])
def test_too_few_runs_decide_nothing_and_say_how_many_more(count: int) -> None:
    found = decide(only(changes(figures(15.0), history(count), Margins())))
    assert found.decision == "cannot decide"
    assert f"and has {count}; measure {10 - count} more, or compare with: duet ab" in found.why


def test_another_machine_decides_nothing_and_is_named() -> None:
    found = decide(only(changes(figures(15.0, fingerprint="bb", machine="Other CPU"), history(), Margins())))
    assert found.decision == "cannot decide"
    assert "its 12 are of another machine than Other CPU" in found.why


def test_a_tool_that_does_not_know_its_machine_decides_nothing() -> None:
    unknown = {"fingerprint": "", "tool": "hyperfine"}
    found = decide(only(changes(figures(15.0, **unknown), history(**unknown), Margins())))
    assert "hyperfine does not say which machine it ran on" in found.why


def test_other_data_or_another_profile_decide_nothing() -> None:
    other = figures()
    moved = msgspec.structs.replace(other.cases[CASE], conditions="profile full, mode direct, data 12")
    found = decide(only(changes(msgspec.structs.replace(other, cases={CASE: moved}), history(), Margins())))
    assert found.decision == "cannot decide"
    assert "profile full, mode direct, data 12 is not what it was measured under" in found.why


def test_a_case_that_is_gone_is_missing_unless_it_was_not_expected() -> None:
    empty = msgspec.structs.replace(figures(), cases={})
    assert decide(only(changes(empty, history(), Margins()))).decision == "cannot decide"
    assert changes(empty, history(), Margins(), expected=[]) == []


def test_a_new_case_passes_as_new() -> None:
    new = msgspec.structs.replace(figures(), cases={"svm/new/native": figures().cases[CASE]})
    found = {each.case: decide(each) for each in changes(new, history(), Margins())}
    assert (found["svm/new/native"].decision, found["svm/new/native"].why) == ("passed", "new: nothing to compare with")


def test_a_failed_case_is_invalid_with_its_reason() -> None:
    found = decide(only(changes(figures(None, status="failed", reason="parity: coef is off"), history(), Margins())))
    assert (found.decision, found.why) == ("invalid", "failed: parity: coef is off")


def test_a_baseline_that_never_was_sound_decides_nothing() -> None:
    runs = [figures(None, f"run{index}", "failed", reason="quality") for index in range(12)]
    found = decide(only(changes(figures(), Baseline(schema=1, created="", runs=runs), Margins())))
    assert (found.decision, found.why) == ("cannot decide", "baseline failed: quality")


def test_a_run_is_never_held_against_itself() -> None:
    runs = history().runs
    change = only(changes(runs[0], Baseline(schema=1, created="", runs=runs), Margins()))
    assert change.units == 11


def test_a_noisy_baseline_sees_little_and_does_not_pass_for_it() -> None:
    change = only(changes(figures(14.02), history(spread=10.0), Margins()))
    assert change.smallest_change > 0.3
    assert decide(change).decision == "cannot decide"
    assert "the smallest change it could see is" in decide(change).why
    wide = only(changes(figures(14.02), history(spread=10.0), parse(["cnn/*=90%"])))
    assert decide(wide).decision == "passed"


def test_the_more_cases_the_more_an_alarm_takes() -> None:
    def many(source: RunSummary, count: int) -> RunSummary:
        return msgspec.structs.replace(source, cases={f"case{i}": source.cases[CASE] for i in range(count)})

    def bound(count: int) -> float:
        runs = [many(each, count) for each in history().runs]
        return changes(many(figures(), count), Baseline(schema=1, created="", runs=runs), Margins())[0].bound

    assert bound(1) < bound(30)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 2.0), st.floats(0.1, 100.0), st.permutations(range(12)))
def test_neither_the_unit_of_time_nor_the_order_of_runs_matters(ratio: float, unit: float, order: list[int]) -> None:
    def scaled(source: RunSummary) -> RunSummary:
        figure = source.cases[CASE]
        moved = msgspec.structs.replace(figure, log_ns=figure.log_ns + math.log(unit))
        return msgspec.structs.replace(source, cases={CASE: moved})

    head, runs = figures(14.0 + math.log(ratio)), history().runs
    plain = only(changes(head, Baseline(schema=1, created="", runs=runs), Margins()))
    other = only(
        changes(scaled(head), Baseline(schema=1, created="", runs=[scaled(runs[i]) for i in order]), Margins())
    )
    assert (plain.verdict, plain.alarm) == (other.verdict, other.alarm)
    assert plain.ratio == pytest.approx(other.ratio)


# --- figures --------------------------------------------------------------------------------------------------------------


def test_a_run_gives_one_figure_a_case_with_status_conditions_and_margin() -> None:
    record = run(
        group(
            reference(cells=cells(1e6)),
            member("native", 5e5, calls_per_round=5),
            without_numbers("linfa", "failed", "parity"),
            margins={"native": 0.2},
            threads=2,
            device="cuda:0",
        )
    )
    found = summary_of_run(record, "x.json", "ab")
    native = found.cases["regression::ridge-train-synthetic/native@threads=2@device=cuda:0"]
    assert math.exp(native.log_ns) == pytest.approx(1e5, rel=0.05)
    assert (native.margin, native.conditions) == (0.2, "profile smoke, mode direct, data 121212121212")
    failed = found.cases["regression::ridge-train-synthetic/linfa@threads=2@device=cuda:0"]
    assert (failed.status, failed.reason, failed.log_ns) == ("failed", "parity", None)


def test_a_group_that_was_only_verified_gives_no_figure() -> None:
    assert summary_of_run(run(group(reference(), verified_only=True)), "", "").cases == {}


@pytest.mark.parametrize(
    "seconds", [[], [0.0], [-1.0], [1.0, math.nan], [math.inf], [1.0, 1.0, math.inf], [1e308], [1.7e308, 1.7e308]]
)
def test_times_that_make_no_sense_give_no_number(seconds: list[float]) -> None:
    assert summary_from_seconds(seconds, "").status == "invalid"


@pytest.mark.parametrize("broken", [{"cells": []}, {"cells": [[[0]]]}, {"cells": [[]]}, {"calls_per_round": 0}])
def test_rounds_that_make_no_sense_give_no_number(broken: dict[str, object]) -> None:
    found = summary_of_run(run(group(reference(**broken))), "", "")
    assert [each.status for each in found.cases.values()] == ["invalid"]
