"""Margins as users write them."""

from __future__ import annotations

import pytest

from pytest_duet.analysis.margins import Margins, parse
from pytest_duet.defaults import ALARM_ABOVE
from pytest_duet.errors import SpecError

CASE = "cnn/lenet-train-digits/tch"


def test_the_last_pattern_that_matches_counts() -> None:
    margins = parse(["*=20%", "cnn/*=10 %", "*/sklearn=2.5%"])
    assert (margins.of(CASE, 0.03), margins.of("svm/x/sklearn"), margins.alarm_above) == (0.1, 0.025, ALARM_ABOVE)


def test_without_a_match_the_case_has_its_own_margin() -> None:
    assert (parse(["svm/*=20%"]).of(CASE, 0.03), Margins().of(CASE), Margins().of(CASE, None)) == (0.03, 0.05, 0.05)


@pytest.mark.parametrize("statistic", ["mean", "median", "min", "max"])
def test_pytest_benchmarks_grammar_sets_from_where_on_it_alarms(statistic: str) -> None:
    assert parse([f"{statistic}:7%"]) == Margins((), 0.07)


def test_a_case_that_is_named_with_its_threads_can_have_a_margin() -> None:
    given = parse(["regression*/native@threads=2=10%"])
    assert 0.10 == given.of("regression/fit-train-small/native@threads=2", 0.05)
    assert 0.05 == given.of("regression/fit-train-small/native", 0.05)


@pytest.mark.parametrize(
    "text", ["", "=5%", "5%", "mean:0.001", "stddev:5%", "cnn/*=5", "cnn/*=0%", "a=-3%", "a=99999%"]
)
def test_what_is_neither_is_refused_with_both_forms(text: str) -> None:
    with pytest.raises(SpecError, match=r"write PATTERN=5%, or mean:5%"):
        parse([text])
