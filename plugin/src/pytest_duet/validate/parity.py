"""Hold one member's outputs against the reference's, within the tolerances the spec sets.

Not for running anything: it sees named arrays and rules.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from pytest_duet.binding.bind import INLINE_CHECK
from pytest_duet.errors import SpecError, nearest
from pytest_duet.records.schema import ParityRecord
from pytest_duet.spec.selectors import matches
from pytest_duet.values import from_number, to_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from pytest_duet.spec.schema import ParityRule

    Array = npt.NDArray[np.generic]
    Check = Callable[[Array, Array], float]

_DTYPES: Final = {"f32": np.dtype("float32"), "f64": np.dtype("float64")}


CLOSE_ENOUGH: Final = 1e-5
"""How far floating-point results of a pair may differ, as `numpy.allclose`'s default."""


def close(reference: Array, other: Array) -> float:
    """Return max|a − b| / max|reference|; inf where one is not finite and the other is not the same."""
    return _largest(reference, other) / _scale(reference)


def absolute(reference: Array, other: Array) -> float:
    """Return max|a − b|; inf where one is not finite and the other is not the same."""
    return _largest(reference, other)


def equal_or_close(reference: Array, other: Array) -> float:
    """Return 0 for equal whole numbers and inf for others; for floats 1e-5 times max(|a − b| / (1e-8 + 1e-5·|a|)).

    So that floats pass at tolerance `CLOSE_ENOUGH` exactly where ``numpy.allclose(other, reference)`` holds.
    """
    if reference.dtype.kind != "f":
        return 0.0 if np.array_equal(reference, other) else np.inf
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if a.size == 0:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(a == b, 0.0, CLOSE_ENOUGH * (np.abs(a - b) / (1e-8 + CLOSE_ENOUGH * np.abs(a))))
    return float(np.max(np.where(np.isnan(error), np.inf, error)))


def exact(reference: Array, other: Array) -> float:
    """Return the share of elements that differ; NaN equals NaN."""
    if reference.size == 0:
        return 0.0
    same = (reference == other) | ((reference != reference) & (other != other))  # noqa: PLR0124 - NaN in any dtype
    return float(1.0 - np.mean(same))


def support(reference: Array, other: Array) -> float:
    """Return the number of elements that are zero on one side only."""
    return float(np.count_nonzero((reference == 0) != (other == 0)))


def labels(reference: Array, other: Array) -> float:
    """Return the share of elements whose labels differ under the best renaming of labels."""
    from scipy.optimize import linear_sum_assignment

    if reference.size == 0:
        return 0.0
    table = _contingency(reference, other)
    return float(1.0 - table[linear_sum_assignment(table, maximize=True)].sum() / reference.size)


def ari(reference: Array, other: Array) -> float:
    """Return 1 − the adjusted Rand index of two labellings (Hubert and Arabie 1985, as pairs that agree)."""
    table = _contingency(reference, other)
    total = reference.size * (reference.size - 1) / 2
    together, left, right = (
        float((counts * (counts - 1) / 2).sum()) for counts in (table, table.sum(axis=0), table.sum(axis=1))
    )
    expected = left * right / total if total else 0.0
    largest = (left + right) / 2
    # Everything together or everything apart, on both sides.
    return 0.0 if largest == expected else float(1.0 - (together - expected) / (largest - expected))


def _contingency(reference: Array, other: Array) -> npt.NDArray[np.float64]:
    """Return how many elements have each pair of labels."""
    _, rows = np.unique(reference.ravel(), return_inverse=True)
    _, columns = np.unique(other.ravel(), return_inverse=True)
    table = np.zeros((rows.max(initial=-1) + 1, columns.max(initial=-1) + 1))
    np.add.at(table, (rows, columns), 1)
    return table


CHECKS: Final[Mapping[str, Check]] = {
    "close": close,
    "absolute": absolute,
    "exact": exact,
    "support": support,
    "labels": labels,
    "ari": ari,
    INLINE_CHECK: equal_or_close,
}


def compare_outputs(
    reference: Mapping[str, Array],
    other: Mapping[str, Array],
    rules: Sequence[ParityRule],
    *,
    dtype: str,
    checks: Mapping[str, Check] = CHECKS,
) -> list[ParityRecord]:
    """Return one record for each output and check; each says whether it passed.

    An output without a rule, one that only one side has, another shape and another dtype than the job's are failures.

    Raises:
        SpecError: a rule names an unknown check.

    """
    records = []
    for name in sorted(reference.keys() | other.keys()):
        wrong = _shape_of_things(name, reference, other, dtype)
        if wrong:
            records.append(_failure(name, "shape", wrong))
            continue
        chosen = rules_for(name, rules)
        if not chosen:
            records.append(_failure(name, "rule", f"no parity rule names output {name!r}; add one to task.toml"))
        records.extend(_apply(name, rule, reference[name], other[name], checks) for rule in chosen)
    return records


def rules_for(output: str, rules: Sequence[ParityRule]) -> list[ParityRule]:
    """Return the rules for `output`: of each check the last whose pattern matches."""
    chosen: dict[str, ParityRule] = {}
    for rule in rules:
        if matches(rule.output, output):
            chosen[rule.check] = rule
    return list(chosen.values())


def _apply(name: str, rule: ParityRule, reference: Array, other: Array, checks: Mapping[str, Check]) -> ParityRecord:
    if rule.check not in checks:
        raise SpecError(f"parity check {rule.check!r} of output {name!r} is unknown{nearest(rule.check, checks)}")
    error = float(checks[rule.check](reference, other))
    # NaN compares false with everything, so it can only fail.
    passed = bool(error <= rule.tolerance)
    return ParityRecord(output=name, check=rule.check, error=to_number(error), tolerance=rule.tolerance, passed=passed)


def _shape_of_things(name: str, reference: Mapping[str, Array], other: Mapping[str, Array], dtype: str) -> str:
    if name not in other:
        return f"output {name!r} is missing"
    if name not in reference:
        return f"output {name!r} is not one of the reference's"
    if reference[name].shape != other[name].shape:
        return f"output {name!r} has shape {other[name].shape}, the reference's has {reference[name].shape}"
    for side, array in (("the reference's ", reference[name]), ("", other[name])):
        if array.dtype.kind == "f" and array.dtype != _DTYPES[dtype]:
            return f"{side}output {name!r} has dtype {array.dtype}, the job says {_DTYPES[dtype]}"
    if reference[name].dtype.kind != other[name].dtype.kind:
        return f"output {name!r} has dtype {other[name].dtype}, the reference's has {reference[name].dtype}"
    return ""


def _failure(name: str, check: str, note: str) -> ParityRecord:
    return ParityRecord(output=name, check=check, error=to_number(np.inf), tolerance=0.0, passed=False, note=note)


def _largest(reference: Array, other: Array) -> float:
    if reference.size == 0:
        return 0.0
    a, b = (np.asarray(side, dtype=np.float64) for side in (reference, other))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(a - b)
    # Equal infinities differ by NaN and are equal all the same; any other NaN is a difference that cannot be bounded.
    gap = np.where(a == b, 0.0, gap)
    return float(np.max(np.where(np.isnan(gap), np.inf, gap)))


def _scale(reference: Array) -> float:
    finite = np.abs(np.asarray(reference, dtype=np.float64))
    finite = finite[np.isfinite(finite)]
    return float(finite.max()) if finite.size and finite.max() > 0 else 1.0


def describe(records: Sequence[ParityRecord]) -> str:
    """Return why parity failed, worst first, in one line; empty where it did not."""
    failed = [record for record in records if not record.passed]
    if not failed:
        return ""
    # What has a note (a missing output, another shape) comes first: it explains the rest.
    worst = max(failed, key=lambda record: (bool(record.note), _excess(record)))
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return (
        worst.note or f"output {worst.output!r}: {worst.check} error {_show(worst.error)} is over {worst.tolerance:g}"
    ) + more


def _excess(record: ParityRecord) -> float:
    """Return by how much the tolerance was missed, as a ratio; inf where there is no telling."""
    error = from_number(record.error)
    return error / record.tolerance if record.tolerance > 0 and not math.isnan(error) else math.inf


def _show(error: object) -> str:
    return f"{error:.3g}" if isinstance(error, int | float) else str(getattr(error, "nonfinite", error))
