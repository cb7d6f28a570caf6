"""The tables of ``duet scale``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_duet.report import scale

from .samples import group, member, reference, run, without_numbers

if TYPE_CHECKING:
    from pytest_duet.records.schema import RunRecord

SIZES = (100, 1000, 10_000)


def growing() -> RunRecord:
    """Return a run in which the reference overtakes `quadratic`, and `tch` is missing at the last size."""
    return run(
        *(
            group(
                reference(typical_ns=1e3 * size),
                member("quadratic", 1.0 * size**2),
                member("tch", 2e3 * size) if size < 10_000 else without_numbers("tch", "skipped", "too slow"),
                id=f"regression::ridge-train-synthetic@n={size}",
            )
            for size in SIZES
        )
    )


def test_a_narrow_table_is_continued_in_parts_that_repeat_the_sizes() -> None:
    wide, narrow = (scale.render(growing(), "n", SIZES, width) for width in (200, 32))
    assert [[line.split()[0] for line in text.splitlines() if line].count("n") for text in (wide, narrow)] == [2, 4]


def test_growth_crossovers_and_missing_sizes_are_named() -> None:
    text = " ".join(scale.render(growing(), "n", SIZES, 200).split())
    assert "quadratic time ~ n^2.0" in text
    assert "slower from about n = 1000 on" in text
    assert "tch, n = 10000: skipped: too slow" in text


def test_the_document_has_the_numbers_of_the_table() -> None:
    members = scale.document(growing(), "n", SIZES)["members"]
    assert members["quadratic"]["exponent"][0] == pytest.approx(2, abs=0.05)
    assert members["quadratic"]["exponent_at_the_end"] == pytest.approx(2, abs=0.05)
    assert list(members["tch"]["time_ns"]) == ["100.0", "1000.0"]
    assert members["tch"]["why_not"] == {"10000.0": "skipped: too slow"}


def test_the_table_in_ascii_is_ascii() -> None:
    assert scale.render(growing(), "n", SIZES, 100, ascii_only=True).isascii()
