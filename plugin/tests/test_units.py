"""Numbers formatted for people."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet import units


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1234.0, "1230"), (0.01234, "0.0123"), (9.996, "10.0"), (0.0, "0"), (-1.5, "-1.50"), (math.inf, "inf")],
)
def test_significant_digits_are_counted_after_rounding(value: float, expected: str) -> None:
    assert expected == units.significant(value)


@pytest.mark.parametrize(
    ("ns", "expected"), [(0.25, "0.250 ns"), (999.4, "999 ns"), (999_960.0, "1.00 ms"), (4.5e10, "45.0 s")]
)
def test_a_duration_takes_the_unit_it_rounds_to(ns: float, expected: str) -> None:
    assert expected == units.duration(ns)


@pytest.mark.parametrize(("size", "expected"), [(0, "0 B"), (2048, "2.00 KiB"), (43_515_904, "41.5 MiB")])
def test_memory_is_in_powers_of_1024(size: float, expected: str) -> None:
    assert expected == units.memory(size)


@pytest.mark.parametrize(
    ("per_second", "expected"), [(0.5, "0.500/s"), (12.3, "12.3/s"), (4567.0, "4.57 k/s"), (2.5e9, "2.50 G/s")]
)
def test_a_rate_is_per_second(per_second: float, expected: str) -> None:
    assert expected == units.rate(per_second)


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(1.3211, "1.32x"), (0.02841, "0.028x"), (115.4, "115x"), (1e-5, "1.0e-05x"), (1e9, "1.0e+09x")],
)
def test_a_speed_up_has_two_or_three_significant_digits(ratio: float, expected: str) -> None:
    assert expected == units.speed_up(ratio)


@pytest.mark.parametrize(("share", "expected"), [(0.05, "5 %"), (0.0731, "7.3 %"), (1.5, "150 %"), (25.0, "25.0-fold")])
def test_a_share_is_a_percentage(share: float, expected: str) -> None:
    assert expected == units.percent(share)


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (3.14e-15, 2, "3.1e-15"),
        (3.14e-15, 1, "3e-15"),
        (1e-10, 2, "1e-10"),
        (0.01, 2, "0.01"),
        (0.0, 2, "0"),
        (12.0, 2, "12"),
    ],
)
def test_an_error_is_short(value: float, digits: int, expected: str) -> None:
    assert expected == units.error(value, digits)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1024**2, "bytes", "1.00 MiB"),
        (0.998, "ratio", "100 %"),
        (41.0, "percent", "41 %"),
        (2e6, "ns", "2.00 ms"),
        (3.5, "J", "3.50 J"),
        (math.nan, "bytes", "nan"),
    ],
)
def test_a_reading_is_shown_in_its_unit(value: float, unit: str, expected: str) -> None:
    assert expected == units.reading(value, unit)


@pytest.mark.parametrize(("p", "expected"), [(0.5, "= 0.50"), (0.00781, "= 0.0078"), (1e-9, "< 0.0001")])
def test_a_small_p_value_is_only_bounded(p: float, expected: str) -> None:
    assert expected == units.p_value(p)


@given(st.floats())
def test_every_float_has_a_text(value: float) -> None:
    texts = (units.significant, units.duration, units.memory, units.speed_up, units.percent, units.error, units.quality)
    assert all(text(value) for text in texts)
