"""The classical tests as plain text: every p with its n, every correction by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from pytest_duet import units
from pytest_duet.report.escape import for_line
from pytest_duet.report.formatting import adjusted, bounds, effect
from pytest_duet.report.text_table import page, wrapped
from pytest_duet.stats.corrections import Method
from pytest_duet.values import from_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_duet.analysis.statistics import AcrossRuns, Analysis, Rounds
    from pytest_duet.records.schema import TestResult


def render(analyses: Sequence[Analysis], width: int, *, policy: str = "auto", ascii_only: bool = False) -> str:
    """Return the classical tests of each comparison; the text ends with a newline.

    The `policy` ``normality`` adds the t or rank test, whichever has the larger p.
    """
    lines = [line for each in analyses for line in _wrapped(_one(each, policy), width)]
    return page(lines or ["no comparison has cells to test"], ascii_only=ascii_only)


def _wrapped(lines: Iterator[str], width: int) -> Iterator[str]:
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        yield from wrapped(line, width, indent, f"{indent}    ")


def _one(each: Analysis, policy: str) -> Iterator[str]:
    comparison = each.comparison
    yield f"{each.case} against {each.against}: {comparison.verdict}, n = {comparison.cells} cells"
    ratio = "unknown" if comparison.ratio is None else units.factor(comparison.ratio)
    yield f"  {comparison.estimator}: {ratio}{bounds(comparison.interval)}{bounds(comparison.judged)}"
    simultaneous = bounds(each.simultaneous) or f" {each.simultaneous_note or 'no interval'}"
    yield f"  simultaneous over {each.family} comparisons (Bonferroni):{simultaneous}"
    if comparison.mean_ratio is not None:
        yield f"  ratio of means (Fieller): {units.factor(comparison.mean_ratio)}{bounds(comparison.mean_interval)}"
    yield f"  tests of no difference over cells, adjusted over {each.family} comparisons:"
    yield from (f"    {_test(test)}" for test in comparison.tests)
    yield f"  tests that the difference is at least the margin of {units.percent(comparison.margin)} (small: equivalent):"
    yield from (f"    {_test(test)}" for test in each.equivalence)
    if policy == "normality" and each.policy is not None:
        yield f"  {_test(each.policy)}"
    if each.detectable is not None:
        yield f"  minimum detectable effect (t, 5 %, power 80 %): {units.percent(each.detectable)}"
    if comparison.smallest_change is not None:
        yield f"  smallest change the interval could have shown: {units.percent(comparison.smallest_change)}"
    yield f"  effects: {'; '.join(effect(found, confidence=True) for found in comparison.effects)}"
    if each.rounds is not None:
        yield from _rounds(each.rounds)
    yield ""


def _test(test: TestResult) -> str:
    if test.p is None:
        return f"{test.name}: undefined ({test.note}), n = {test.n}"
    note = f" ({test.note})" if test.note else ""
    statistic = "" if test.statistic is None else f" statistic {units.factor(from_number(test.statistic))},"
    return f"{test.name}:{statistic} p {units.p_value(from_number(test.p))}{adjusted(test, get_args(Method))}, n = {test.n}{note}"


def _rounds(rounds: Rounds) -> Iterator[str]:
    yield "  by single rounds, descriptive: they are not independent, so these p-values are too small"
    for what, at in (("this", 0), ("the other", 1)):
        r, count = rounds.autocorrelation[at], rounds.effective[at]
        count_as = "undefined" if r is None or count is None else f"{r:.2f}, so they count as about {count:.0f}"
        yield f"    {what}: {rounds.counts[at]} rounds, lag-1 autocorrelation {count_as}"
    yield from (f"    {_test(test)}, descriptive" for test in rounds.tests)


def render_across(found: Sequence[AcrossRuns], machine: str, width: int, *, ascii_only: bool = False) -> str:
    """Return what several runs of one `machine` show together, a paragraph for each comparison."""
    lines = [line for each in found for line in _wrapped(_across(each), width)] or ["the runs share no comparison"]
    head = f"over runs on {for_line(machine)}; ratio is time of this over time of the other"
    return page([head, "", *lines], ascii_only=ascii_only)


def _across(each: AcrossRuns) -> Iterator[str]:
    yield f"{each.case} against {each.against}: {units.counted(each.runs, 'run')}"
    if each.ratio is None or each.spread is None:
        yield f"  this machine, this run: {each.note}"
        return
    yield f"  random-effects mean (Hartung-Knapp): {units.factor(each.ratio)}{bounds(each.interval)}"
    yield f"  one more run should give:{bounds(each.following)}; runs differ by {units.percent(each.spread)} (τ)"
