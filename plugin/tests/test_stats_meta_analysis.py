"""Several runs combined: the results match statsmodels, and do not depend on order or sides."""

from __future__ import annotations

import math
import sys
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_duet.stats.meta_analysis import FEWEST_RUNS, combine_runs, standard_error
from pytest_duet.stats.results import REMEDY

ESTIMATES = [0.10, 0.12, 0.08, 0.20, 0.15]
ERRORS = [0.0316, 0.0346, 0.0447, 0.0316, 0.0387]
runs = st.lists(st.tuples(st.floats(-1, 1), st.floats(0.01, 0.3)), min_size=5, max_size=12)


def test_the_mean_and_its_interval_match_hartung_and_knapp_of_statsmodels() -> None:
    from statsmodels.stats.meta_analysis import combine_effects

    found = combine_runs(ESTIMATES, ERRORS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = combine_effects(np.array(ESTIMATES), np.square(ERRORS), method_re="iterated", use_t=True)
        row = whole.summary_frame().loc["random effect wls"]
    assert (found.mean.value, found.mean.low, found.mean.high) == pytest.approx((row.eff, row.ci_low, row.ci_upp))
    assert found.spread == pytest.approx(math.sqrt(whole.tau2))


def test_runs_with_equal_errors_have_students_interval() -> None:
    from scipy import stats

    found = combine_runs(ESTIMATES, [0.01] * 5)
    expected = stats.t.interval(0.95, 4, np.mean(ESTIMATES), np.std(ESTIMATES, ddof=1) / math.sqrt(5))
    assert (found.mean.low, found.mean.high) == pytest.approx(expected)


@settings(deadline=None, max_examples=50)
@given(runs)
def test_the_prediction_is_wider_than_the_mean_and_runs_that_agree_have_no_spread(
    pairs: list[tuple[float, float]],
) -> None:
    estimates, errors = zip(*pairs, strict=True)
    assume(max(estimates) - min(estimates) > 1e-6)
    found = combine_runs(estimates, errors)
    assert found.spread >= 0
    assert found.following.low <= found.mean.low <= found.mean.value <= found.mean.high <= found.following.high
    same = combine_runs([0.3] * len(errors), errors)
    assert (same.spread, same.mean.value) == (0.0, pytest.approx(0.3))


@settings(deadline=None, max_examples=50)
@given(runs, st.randoms())
def test_the_order_of_runs_and_the_sides_do_not_matter(pairs: list[tuple[float, float]], random: object) -> None:
    mixed = list(pairs)
    random.shuffle(mixed)
    plain = combine_runs(*zip(*pairs, strict=True))
    other = combine_runs(*zip(*mixed, strict=True))
    back = combine_runs([-each for each, _ in pairs], [error for _, error in pairs])
    assert other.mean.value == pytest.approx(plain.mean.value, abs=1e-6)
    assert (-back.mean.high, -back.mean.low) == pytest.approx((plain.mean.low, plain.mean.high), abs=1e-6)


def test_fewer_than_five_runs_are_not_combined() -> None:
    found = combine_runs(ESTIMATES[:4], ERRORS[:4])
    assert (found.mean.value, found.following.value, found.spread) == (None, None, None)
    assert found.mean.note == f"needs {FEWEST_RUNS} runs of one machine"


def test_without_statsmodels_the_note_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels.stats.meta_analysis", None)
    assert combine_runs(ESTIMATES, ERRORS).mean.note == REMEDY


def test_intervals_without_width_are_accepted() -> None:
    found = combine_runs(ESTIMATES, [0.0] * 5)
    assert all(math.isfinite(each) for each in (found.mean.low, found.mean.high, found.following.low))


def test_the_standard_error_matches_the_normal_interval() -> None:
    assert standard_error(-1.959964, 1.959964, 0.95) == pytest.approx(1.0)
