"""Corrections of p-values for having asked more than one question; the method always goes by its name.

Not for deciding what the family of questions is: whoever reports the result says that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pytest_duet.stats.shapes import REMEDY, quiet

if TYPE_CHECKING:
    from collections.abc import Sequence

Method = Literal["bonferroni", "holm", "benjamini-hochberg", "benjamini-yekutieli"]

_STATSMODELS: Final[dict[Method, str]] = {
    "bonferroni": "bonferroni",
    "holm": "holm",
    "benjamini-hochberg": "fdr_bh",
    "benjamini-yekutieli": "fdr_by",
}


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Adjusted p-values in the order given; None where there was none, or where `note` says why none could be had."""

    method: Method
    family: int
    values: tuple[float | None, ...]
    note: str = ""


def adjust(p_values: Sequence[float | None], method: Method) -> Adjusted:
    """Adjust `p_values` by `method`; a missing or undefined p stays None and does not count towards the family.

    Sources: Dunn (1961); Holm (1979), Scand. J. Statist. 6; Benjamini & Hochberg (1995), J. R. Statist. Soc. B 57;
    Benjamini & Yekutieli (2001), Ann. Statist. 29; computed by statsmodels' `multipletests`.
    """
    known = [p for p in p_values if p is not None and math.isfinite(p)]
    if not known:
        return Adjusted(method, 0, (None,) * len(p_values))
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError:
        return Adjusted(method, len(known), (None,) * len(p_values), REMEDY)
    with quiet():
        adjusted = iter(multipletests(known, method=_STATSMODELS[method])[1])
    values = tuple(float(next(adjusted)) if p is not None and math.isfinite(p) else None for p in p_values)
    return Adjusted(method, len(known), values)


def simultaneous(confidence: float, family: int) -> float:
    """Return the confidence that each of `family` intervals needs so that all hold at once with `confidence`.

    Source: Dunn (1961), Multiple comparisons among means, J. Am. Statist. Assoc. 56 (Bonferroni).
    """
    return 1 - (1 - confidence) / max(1, family)


def fewest_units(alpha: float, family: int = 1) -> int:
    """Return how many paired units a one-sided signed-rank test needs to reject at `alpha` over `family` tests at all.

    With n units its smallest p is 2⁻ⁿ.
    """
    return math.ceil(math.log2(max(1, family) / alpha))
