"""The classical tests: their values match scipy, and unusable samples get a note instead of a warning."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pytest_duet.stats.classical_tests import brunner_munzel, classical_tests
from pytest_duet.stats.results import REMEDY, Outcome

THIS = [1.1, 1.4, 1.2, 1.6, 1.3, 1.5, 1.25, 1.45]
REFERENCE = [1.0, 1.2, 1.3, 1.1, 1.15, 1.35, 1.05, 1.22]
DIFFERENCES = [a - b for a, b in zip(THIS, REFERENCE, strict=True)]
NAMES = ["signed-rank", "paired t", "Welch t", "Mann-Whitney", "Brunner-Munzel", "Shapiro-Wilk", "Anderson-Darling"]


def by_name(outcomes: list[Outcome]) -> dict[str, Outcome]:
    return {outcome.name: outcome for outcome in outcomes}


def test_all_classical_tests_are_run() -> None:
    assert [outcome.name for outcome in classical_tests(THIS, REFERENCE, DIFFERENCES)] == NAMES


def test_the_values_match_scipy() -> None:
    found = by_name(classical_tests(THIS, REFERENCE, DIFFERENCES))
    expected = {
        "paired t": stats.ttest_rel(THIS, REFERENCE).pvalue,
        "Welch t": stats.ttest_ind(THIS, REFERENCE, equal_var=False).pvalue,
        "Mann-Whitney": stats.mannwhitneyu(THIS, REFERENCE).pvalue,
        "Brunner-Munzel": stats.brunnermunzel(THIS, REFERENCE).pvalue,
        "Shapiro-Wilk": stats.shapiro(DIFFERENCES).pvalue,
    }
    assert {name: found[name].p for name in expected} == pytest.approx(expected)


def test_anderson_darling_matches_statsmodels() -> None:
    import numpy as np
    from statsmodels.stats.diagnostic import normal_ad

    expected = normal_ad(np.array(DIFFERENCES))
    found = by_name(classical_tests(THIS, REFERENCE, DIFFERENCES))["Anderson-Darling"]
    assert (found.statistic, found.p) == pytest.approx(expected)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=12))
def test_any_samples_give_a_p_value_or_a_note(pairs: list[tuple[int, int]]) -> None:
    this, reference = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    for outcome in classical_tests(this, reference, [float(a - b) for a, b in pairs]):
        assert (outcome.p is None) == bool(outcome.note)
        assert outcome.p is None or 0 <= outcome.p <= 1
        assert outcome.n == len(pairs)


def test_constant_samples_have_a_note() -> None:
    found = by_name(classical_tests([2.0] * 9, [1.0] * 9, [1.0] * 9))
    assert {found[name].note for name in ("paired t", "Welch t", "Shapiro-Wilk")} == {"nothing varies"}


def test_samples_that_do_not_overlap_leave_brunner_munzel_undefined() -> None:
    outcome = brunner_munzel([3.0, 4.0], [1.0, 2.0])
    assert (outcome.p, outcome.note) == (None, "the samples do not overlap, so it has no variance to go by")


def test_without_statsmodels_the_note_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.stats.diagnostic", None)
    found = by_name(classical_tests(THIS, REFERENCE, DIFFERENCES))["Anderson-Darling"]
    assert (found.p, found.note) == (None, REMEDY)
