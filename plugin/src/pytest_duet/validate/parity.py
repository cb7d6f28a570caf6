"""Compare one member's outputs with the reference's, within the tolerances that the spec sets."""

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

    from pytest_duet.binding.bind import Check
    from pytest_duet.binding.datasets import Array
    from pytest_duet.spec.schema import ParityRule

CLOSE_ENOUGH: Final = 1e-5
"""How far floating-point results of an inline group may differ, as in `numpy.allclose` by default."""


def close(reference: Array, other: Array) -> float:
    """Return max|a − b| / max|reference|; inf if one is not finite and the other is not the same."""
    finite = np.abs(np.asarray(reference, dtype=np.float64))
    scale = finite[np.isfinite(finite)].max(initial=0.0)
    return absolute(reference, other) / float(scale or 1.0)


def absolute(reference: Array, other: Array) -> float:
    """Return max|a − b|; inf if one is not finite and the other is not the same."""
    return _largest(reference, other, lambda a, b: np.abs(a - b))


def equal_or_close(reference: Array, other: Array) -> float:
    """Return 0 for equal integers and inf for others; for floats 1e-5 times max(|a − b| / (1e-8 + 1e-5·|a|)).

    So floats pass at tolerance `CLOSE_ENOUGH` exactly if ``numpy.allclose(other, reference)`` holds.
    """
    if reference.dtype.kind != "f":
        return 0.0 if np.array_equal(reference, other) else np.inf
    return _largest(reference, other, lambda a, b: CLOSE_ENOUGH * (np.abs(a - b) / (1e-8 + CLOSE_ENOUGH * np.abs(a))))


def _largest(reference: Array, other: Array, error: Callable[..., npt.NDArray[np.float64]]) -> float:
    """Return the largest `error` of two elements; equal infinities have none, and any other NaN is infinite."""
    a, b = (np.asarray(side, dtype=np.float64) for side in (reference, other))
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.where(a == b, 0.0, error(a, b))
    return float(np.where(np.isnan(errors), np.inf, errors).max(initial=0.0))


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
    """Return 1 − the adjusted Rand index of two labellings (Hubert and Arabie 1985), from pairs of elements that agree."""
    table = _contingency(reference, other)
    total = reference.size * (reference.size - 1) / 2
    together, left, right = (
        float((counts * (counts - 1) / 2).sum()) for counts in (table, table.sum(axis=0), table.sum(axis=1))
    )
    expected = left * right / total if total else 0.0
    largest = (left + right) / 2
    # Both labellings have a single group, or a group for each element.
    return 0.0 if largest == expected else float(1.0 - (together - expected) / (largest - expected))


def _contingency(reference: Array, other: Array) -> npt.NDArray[np.float64]:
    """Return how many elements have each pair of labels."""
    _, rows = np.unique(reference.ravel(), return_inverse=True)
    _, columns = np.unique(other.ravel(), return_inverse=True)
    table = np.zeros((rows.max(initial=-1) + 1, columns.max(initial=-1) + 1))
    np.add.at(table, (rows, columns), 1)
    return table


CHECKS: Final[Mapping[str, Check]] = {
    **{check.__name__: check for check in (close, absolute, exact, support, labels, ari)},
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
    """Return one record for each output and check.

    It fails an output without a rule, one that only one side has, another shape, and another dtype than the job's.

    Raises:
        SpecError: a rule names an unknown check.
    """
    records = []
    for name in sorted(reference.keys() | other.keys()):
        check, note = "shape", _mismatch(name, reference, other, dtype)
        chosen = rules_for(name, rules)
        if not (note or chosen):
            check, note = "rule", f"no parity rule names output {name!r}; add one to task.toml"
        if note:
            error = to_number(np.inf)
            records.append(ParityRecord(output=name, check=check, error=error, tolerance=0.0, passed=False, note=note))
        else:
            records += [_apply(name, rule, reference[name], other[name], checks) for rule in chosen]
    return records


def rules_for(output: str, rules: Sequence[ParityRule]) -> list[ParityRule]:
    """Return the rules for `output`: for each check the last one whose pattern matches."""
    return list({rule.check: rule for rule in rules if matches(rule.output, output)}.values())


def _apply(name: str, rule: ParityRule, reference: Array, other: Array, checks: Mapping[str, Check]) -> ParityRecord:
    if rule.check not in checks:
        raise SpecError(f"parity check {rule.check!r} of output {name!r} is unknown{nearest(rule.check, checks)}")
    error = float(checks[rule.check](reference, other))
    # NaN compares false with everything, so it can only fail.
    passed = bool(error <= rule.tolerance)
    return ParityRecord(output=name, check=rule.check, error=to_number(error), tolerance=rule.tolerance, passed=passed)


def _mismatch(name: str, references: Mapping[str, Array], others: Mapping[str, Array], dtype: str) -> str:
    """Return why the two outputs called `name` cannot be compared, or an empty string if they can."""
    if name not in others:
        return f"output {name!r} is missing"
    if name not in references:
        return f"output {name!r} is not one of the reference's"
    reference, other = references[name], others[name]
    if reference.shape != other.shape:
        return f"output {name!r} has shape {other.shape}, the reference's has {reference.shape}"
    expected = f"float{dtype.removeprefix('f')}"
    for side, array in (("the reference's ", reference), ("", other)):
        if array.dtype.kind == "f" and array.dtype != expected:
            return f"{side}output {name!r} has dtype {array.dtype}, the job says {expected}"
    if reference.dtype.kind != other.dtype.kind:
        return f"output {name!r} has dtype {other.dtype}, the reference's has {reference.dtype}"
    return ""


def describe(records: Sequence[ParityRecord]) -> str:
    """Return why parity failed in one line, with the worst failure; empty if it did not fail."""
    failed = [record for record in records if not record.passed]
    if not failed:
        return ""
    # A note (a missing output, another shape) explains the other failures.
    worst = max(failed, key=lambda record: (bool(record.note), _excess(record)))
    error = f"output {worst.output!r}: {worst.check} error {from_number(worst.error):.3g} is over {worst.tolerance:g}"
    return (worst.note or error) + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")


def _excess(record: ParityRecord) -> float:
    """Return the error over its tolerance; inf if it has no such ratio."""
    error = from_number(record.error)
    return error / record.tolerance if record.tolerance > 0 and not math.isnan(error) else math.inf
