"""Correct p-values for multiple tests; the caller names the method and chooses the family of tests."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Method = Literal["bonferroni", "holm", "benjamini-hochberg", "benjamini-yekutieli"]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Adjusted p-values in the order given; None where there was no p-value."""

    method: Method
    family: int
    values: tuple[float | None, ...]


def adjust(p_values: Sequence[float | None], method: Method) -> Adjusted:
    """Adjust `p_values` by `method`; a missing or undefined p stays None and does not count towards the family.

    Sources: Dunn (1961); Holm (1979), Scand. J. Statist. 6; Benjamini & Hochberg (1995), J. R. Statist. Soc. B 57;
    Benjamini & Yekutieli (2001), Ann. Statist. 29. Implemented here because statsmodels runs the garbage collector in
    every correction by Holm, which takes longer than everything else that is computed from a run.
    """
    known = [at for at, p in enumerate(p_values) if p is not None and math.isfinite(p)]
    ascending = sorted((p_values[at] or 0.0, at) for at in known)
    values: list[float | None] = [None] * len(p_values)
    for value, (_, at) in zip(_adjusted([p for p, _ in ascending], method), ascending, strict=True):
        values[at] = min(1.0, value)
    return Adjusted(method, len(known), tuple(values))


def _adjusted(ascending: Sequence[float], method: Method) -> list[float]:
    """Return the adjusted p of each of `ascending`; they may exceed 1."""
    m = len(ascending)
    if method == "bonferroni":
        return [p * m for p in ascending]
    if method == "holm":
        return list(accumulate((p * (m - rank) for rank, p in enumerate(ascending)), max))
    factor = 1.0 if method == "benjamini-hochberg" else math.fsum(1 / rank for rank in range(1, m + 1))
    raised = [p * (factor * m / rank) for rank, p in enumerate(ascending, 1)]
    return list(accumulate(reversed(raised), min))[::-1]


def simultaneous(confidence: float, family: int) -> float:
    """Return the confidence that each of `family` intervals needs so that all hold at once with `confidence`.

    Source: Dunn (1961), Multiple comparisons among means, J. Am. Statist. Assoc. 56 (Bonferroni).
    """
    return 1 - (1 - confidence) / max(1, family)


def fewest_units(alpha: float, family: int = 1) -> int:
    """Return the smallest number of paired units with which a one-sided signed-rank test can reject at all.

    It must reject at `alpha` over `family` tests; with n units its smallest p is 2⁻ⁿ.
    """
    return math.ceil(math.log2(max(1, family) / alpha))
