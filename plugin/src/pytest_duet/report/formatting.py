"""The words and numbers of one row, the same in every report.

Not for layout, and not for escaping: what comes from outside passes ``escape`` where it is laid out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.analysis.comparison import CORRECTIONS, FAMILY_TEST
from pytest_duet.protocol import from_number
from pytest_duet.records.timings import rounds_ns
from pytest_duet.report.model import AVERAGE_MEMORY, CPU_UTILISATION, PEAK_MEMORY
from pytest_duet.stats.signed_rank import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_duet.records.schema import Effect, GroupRecord, Interval, MemberRecord, ParityRecord, TestResult
    from pytest_duet.report.model import Report, Row

NOTHING: Final = "–"
"""Stands where a row has no such number."""

_NAMES: Final[dict[str, str]] = {"benjamini-hochberg": "Benjamini-Hochberg", "holm": "Holm"}


def heading(group: GroupRecord) -> str:
    """Return what all members of a group share: ``regression · linear · train · synthetic (20000x100) · 1 thread``."""
    size = f" ({group.workload_size})" if group.workload_size else ""
    threads = "1 thread" if group.threads == 1 else f"{group.threads} threads"
    parts = [group.task, group.algorithm, group.phase, f"{group.workload}{size}", threads, group.device, group.dtype]
    return " · ".join(part for part in parts if part)


def time(row: Row) -> str:
    """Return the typical time of a call."""
    return NOTHING if row.time_ns is None else units.duration(row.time_ns)


def speed_up(row: Row) -> str:
    """Return the speed-up with its 95 % interval: ``1.32x [1.28, 1.36]``; only a rival has one."""
    if not row.shown or row.speed_up is None:
        return NOTHING
    between = row.speed_up_interval
    return f"{units.speed_up(row.speed_up)} {units.interval(*between) if between else '[no interval]'}"


def against(row: Row) -> str:
    """Return what a rival is set against where that is not the reference: ``against sklearn.dual``; else nothing."""
    named = row.comparison.against if row.comparison else ""
    return f"against {named}" if named else ""


def verdict(row: Row) -> str:
    """Return the verdict, or what the row is instead of a rival."""
    if row.comparison is not None:
        return row.comparison.verdict
    if row.member.role != "rival":
        return row.member.role
    return "alone" if row.time_ns is not None else NOTHING


def parity(row: Row) -> str:
    """Return the worst output's error against its tolerance: ``3.1e-15 ≤ 1e-10``."""
    return NOTHING if row.parity is None else held(row.parity)


def held(record: ParityRecord) -> str:
    """Return one output's error against its tolerance."""
    sign = "≤" if record.passed else ">"
    digits = 1 if record.passed else 2
    return f"{units.error(from_number(record.error), digits)} {sign} {units.error(record.tolerance)}"


def quality(row: Row) -> str:
    """Return the value of the first quality metric."""
    return NOTHING if row.quality is None else units.quality(from_number(row.quality.value))


def reading(row: Row, metric: str) -> str:
    """Return the value of one telemetry metric."""
    found = row.reading(metric) if row.time_ns is not None else None
    if found is None or found.value is None:
        return NOTHING
    return units.reading(from_number(found.value), found.unit)


def peak_memory(row: Row) -> str:
    """Return the peak memory."""
    return reading(row, PEAK_MEMORY)


def average_memory(row: Row) -> str:
    """Return the average memory."""
    return reading(row, AVERAGE_MEMORY)


def cpu_utilisation(row: Row) -> str:
    """Return the CPU utilisation."""
    return reading(row, CPU_UTILISATION)


def cells(row: Row) -> str:
    """Return how many cells the judgement rests on."""
    return str(len(row.member.cells)) if row.shown and row.member.cells else NOTHING


def smallest_change(row: Row) -> str:
    """Return the smallest change that would have been seen."""
    change = row.comparison.smallest_change if row.comparison else None
    return NOTHING if change is None or not row.shown else units.percent(change)


def details(row: Row) -> Iterator[str]:
    """Yield what a curious reader wants to know about a row, a line each; no number where none may be shown."""
    member = row.member
    if row.shown and row.comparison is not None:
        comparison = row.comparison
        yield f"estimate: {comparison.estimator} over {comparison.cells} cells{_means(row)}"
        named = {FAMILY_TEST} if comparison.cells >= SMALL else {FAMILY_TEST, "paired t"}
        tests = [_test(test) for test in comparison.tests if test.name in named]
        effects = [_effect(effect) for effect in comparison.effects]
        yield "; ".join(tests + effects)
    if row.shown and len(member.parity) > 1:
        kinds = row.parity_by_kind.items()
        yield "parity: " + "; ".join(
            f"{kind} {held(worst)}{f' ({count} outputs)' if count > 1 else ''}" for kind, (worst, count) in kinds
        )
    if row.shown and len(member.quality) > 1:
        values = (f"{bound.metric} {units.quality(from_number(bound.value))}" for bound in member.quality)
        yield "quality: " + ", ".join(values)
    if row.shown and member.iterations is not None:
        converged = {True: ", converged", False: ", did not converge", None: ""}[member.converged]
        each = f", {units.duration(row.time_ns / member.iterations)} each" if row.time_ns and member.iterations else ""
        yield f"iterations: {member.iterations}{converged}{each}"
    if row.time_ns and member.work:
        yield "work of a call: " + "; ".join(_work(count, of, row.time_ns) for of, count in member.work.items())
    if row.time_ns and member.spans:
        yield "parts of a call: " + "; ".join(_parts(member))
    if row.time_ns is not None:
        yield "readings: " + "; ".join(_readings(row))
    yield from _attestation(row)


def _work(count: int, of: str, ns: float) -> str:
    """Return how long one of `count` takes and how many are done in a second, as in ``5 steps, 2 ms each (500 per s)``."""
    each = f", {units.duration(ns / count)} each ({units.rate(count / ns * 1e9)})" if count else ""
    return f"{count} {of}{each}"


def _parts(member: MemberRecord) -> Iterator[str]:
    """Yield what each named part of a call takes on average, and its share, as in ``update 2 ms (40 %)``."""
    rounds = rounds_ns(member)
    calls = len(rounds) * member.calls_per_round
    for name, ns in member.spans.items():
        yield f"{name} {units.duration(ns / calls)} ({units.percent(ns / sum(rounds))})"


def _means(row: Row) -> str:
    comparison = row.comparison
    if comparison is None or not comparison.mean_ratio:
        return ""
    between = comparison.mean_interval
    bounds = f" {_inverse(between)}" if between and between.low > 0 else ""
    return f"; by means {units.speed_up(1 / comparison.mean_ratio)}{bounds}"


def _inverse(interval: Interval) -> str:
    return units.interval(1 / interval.high, 1 / interval.low)


def _test(test: TestResult) -> str:
    text = f"{test.name} p {units.p_value(from_number(test.p))}" if test.p is not None else f"{test.name} p unknown"
    adjusted = [
        f"{_NAMES.get(method, method)} p {units.p_value(from_number(test.p_adjusted[method]))}"
        for method in CORRECTIONS
        if method in test.p_adjusted
    ]
    note = f" ({test.note})" if test.note else ""
    return f"{', '.join([text, *adjusted])}, n = {test.n}{note}"


def _effect(effect: Effect) -> str:
    if effect.value is None:
        return f"{effect.name} undefined ({effect.note})"
    between = f" {units.interval(effect.interval.low, effect.interval.high)}" if effect.interval else ""
    return f"{effect.name} {units.factor(from_number(effect.value))}{between}"


def _readings(row: Row) -> Iterator[str]:
    if row.member.first_call_ns is not None:
        yield f"verified call {units.duration(row.member.first_call_ns)}"
    if not row.member.readings:
        yield "none were taken"
    for found in row.member.readings:
        name = found.metric.replace("_", " ")
        if found.value is None:
            yield f"{name} unavailable ({found.reason or 'no reason given'})"
        else:
            yield f"{name} {units.reading(from_number(found.value), found.unit)}"


def _attestation(row: Row) -> Iterator[str]:
    attested = row.member.attestation
    if attested is None:
        return
    versions = ", ".join(f"{name} {version}" for name, version in sorted(attested.versions.items()))
    threads = "1 thread" if attested.threads == 1 else f"{attested.threads} threads"
    blas = f"BLAS {', '.join(attested.blas)}" if attested.blas else "no BLAS"
    parts = [versions, attested.compiler, attested.profile, threads, blas, attested.device, attested.dtype]
    yield "attested: " + "; ".join(part for part in parts if part)


def counts(report: Report) -> str:
    """Return how many cases there are of each status."""
    total = sum(count for _, count in report.statuses)
    each = ", ".join(f"{count} {status}" for status, count in report.statuses)
    return f"{total} {'case' if total == 1 else 'cases'}: {each}" if total else "no cases"


def verdict_counts(report: Report) -> str:
    """Return how many verdicts there are of each word."""
    return ", ".join(f"{count} {word}" for word, count in report.verdicts) or "none"


def scope(report: Report) -> list[str]:
    """Return what the verdicts hold for, as sentences."""
    run = report.run
    where = "in this process" if run.mode == "direct" else "in fresh processes"
    sentences = [f"Mode {run.mode}, profile {run.profile}: the verdicts are about this machine, this run, {where}."]
    if not run.complete:
        sentences.append("The run did not come to its end: what is missing was not measured.")
    margins = sorted({row.comparison.margin for row in report.rows() if row.comparison and row.comparison.ratio})
    if margins:
        named = ", ".join(units.percent(margin) for margin in margins)
        sentences.append(
            "Speed-up is time of the reference over time of this member, with its 95 % interval; "
            f"a difference below the margin of {named} does not matter, and the 90 % interval judges."
        )
    if report.family:
        number = "1 comparison" if report.family == 1 else f"{report.family} comparisons"
        methods = " and ".join(_NAMES.get(method, method) for method in CORRECTIONS)
        sentences.append(f"p-values are adjusted over the {number} of this table by {methods}.")
    return sentences
