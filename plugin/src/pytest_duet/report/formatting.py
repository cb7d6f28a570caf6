"""The words and numbers of one row as text, the same in every report; text is escaped where it is laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pytest_duet import units
from pytest_duet.analysis.comparison import CORRECTIONS, FAMILY_TEST
from pytest_duet.records.timings import rounds_ns
from pytest_duet.stats.signed_rank import SMALL
from pytest_duet.values import from_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_duet.records.schema import Effect, GroupRecord, Interval, MemberRecord, ParityRecord, TestResult
    from pytest_duet.report.model import Report, Row

NOTHING: Final = "–"
"""Shown where a row has no such number."""


def heading(group: GroupRecord) -> str:
    """Return what the members of a group share: ``regression · linear · train · synthetic (20000x100) · 1 thread``."""
    size = f" ({group.workload_size})" if group.workload_size else ""
    what = [group.task, group.algorithm, group.phase, f"{group.workload}{size}"]
    return " · ".join(filter(None, [*what, units.counted(group.threads, "thread"), group.device, group.dtype]))


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
    """Return ``against sklearn.dual`` for a rival that is compared with another member than the reference, else nothing."""
    named = row.comparison.against if row.comparison else ""
    return f"against {named}" if named else ""


def verdict(row: Row) -> str:
    """Return the verdict, or the role of a member that has none."""
    if row.group.verified_only:
        return "verified only"
    if row.comparison is not None:
        return row.comparison.verdict
    alone = "alone" if row.time_ns is not None else NOTHING
    return alone if row.member.role == "rival" else row.member.role


def remarks(row: Row) -> Iterator[str]:
    """Yield what a reader must know to read the verdict of a row, a line each."""
    if row.comparison is not None and row.shown:
        yield from filter(None, (against(row), row.comparison.reason))
        yield from (f"flag: {flag}" for flag in row.comparison.flags)


def held(record: ParityRecord | None) -> str:
    """Return one output's error against its tolerance: ``3.1e-15 ≤ 1e-10``."""
    if record is None:
        return NOTHING
    sign, digits = ("≤", 1) if record.passed else (">", 2)
    return f"{units.error(from_number(record.error), digits)} {sign} {units.error(record.tolerance)}"


def quality(row: Row) -> str:
    """Return the value of the first quality metric."""
    return NOTHING if row.quality is None else units.quality(from_number(row.quality.value))


def reading(row: Row, metric: str) -> str:
    """Return the value of one telemetry metric."""
    for found in row.member.readings:
        if found.metric == metric and found.value is not None and row.time_ns is not None:
            return units.reading(from_number(found.value), found.unit)
    return NOTHING


def smallest_change(row: Row) -> str:
    """Return the smallest change the interval would have shown."""
    change = row.comparison.smallest_change if row.comparison else None
    return NOTHING if change is None or not row.shown else units.percent(change)


def details(row: Row) -> Iterator[str]:
    """Yield the lines that ``-v`` adds to a row; a row that shows no numbers has none here either."""
    member = row.member
    if row.shown and (comparison := row.comparison) is not None:
        yield f"estimate: {comparison.estimator} over {comparison.cells} cells{_means(row)}"
        named = {FAMILY_TEST} if comparison.cells >= SMALL else {FAMILY_TEST, "paired t"}
        tests = [_test(test) for test in comparison.tests if test.name in named]
        yield "; ".join([*tests, *map(effect, comparison.effects)])
    if row.shown and len(member.parity) > 1:
        yield "parity: " + "; ".join(
            f"{kind} {held(worst)}{f' ({count} outputs)' if count > 1 else ''}"
            for kind, (worst, count) in row.parity_by_kind.items()
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
    each = f", {units.duration(ns / count)} each ({units.rate(count / ns * 1e9)})" if count else ""
    return f"{count} {of}{each}"


def _parts(member: MemberRecord) -> Iterator[str]:
    """Yield the mean time and the share of each named part of a call, as in ``update 2.00 ms (40 %)``."""
    rounds = rounds_ns(member)
    calls = len(rounds) * member.calls_per_round
    for name, ns in member.spans.items():
        yield f"{name} {units.duration(ns / calls)} ({units.percent(ns / sum(rounds))})"


def _means(row: Row) -> str:
    comparison = row.comparison
    if comparison is None or not comparison.mean_ratio:
        return ""
    between = comparison.mean_interval and comparison.mean_interval.inverted()
    interval = f" {units.interval(*between)}" if between else ""
    return f"; by means {units.speed_up(1 / comparison.mean_ratio)}{interval}"


def _test(test: TestResult) -> str:
    p = "unknown" if test.p is None else units.p_value(from_number(test.p))
    note = f" ({test.note})" if test.note else ""
    return f"{test.name} p {p}{adjusted(test, CORRECTIONS, ' p')}, n = {test.n}{note}"


def adjusted(test: TestResult, methods: Iterable[str], symbol: str = "") -> str:
    """Return the adjusted p-values of `test`, each after a comma, the name of its correction and `symbol`."""
    found = [(method, test.p_adjusted[method]) for method in methods if method in test.p_adjusted]
    return "".join(f", {of.title()}{symbol} {units.p_value(from_number(p))}" for of, p in found)


def effect(found: Effect, *, confidence: bool = False) -> str:
    """Return an effect size with its interval, and the confidence of that where asked for."""
    if found.value is None:
        return f"{found.name} undefined ({found.note})"
    return f"{found.name} {units.factor(from_number(found.value))}{bounds(found.interval, confidence=confidence)}"


def bounds(interval: Interval | None, *, confidence: bool = True) -> str:
    """Return an interval after a space, with its confidence; empty where there is none."""
    if interval is None:
        return ""
    share = f" ({100 * interval.confidence:.4g} %)" if confidence else ""
    return f" {units.interval(interval.low, interval.high)}{share}"


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
    threads = units.counted(attested.threads, "thread")
    blas = f"BLAS {', '.join(attested.blas)}" if attested.blas else "no BLAS"
    parts = [versions, attested.compiler, attested.profile, threads, blas, attested.device, attested.dtype]
    yield "attested: " + "; ".join(filter(None, parts))


def counts(report: Report) -> str:
    """Return the number of cases of each status."""
    total = sum(count for _, count in report.statuses)
    each = ", ".join(f"{count} {status}" for status, count in report.statuses)
    return f"{units.counted(total, 'case')}: {each}" if total else "no cases"


def scope(report: Report) -> list[str]:
    """Return what the verdicts apply to and how they are made, as sentences."""
    run = report.run
    where = "in this process" if run.mode == "direct" else "in fresh processes"
    sentences = [f"Mode {run.mode}, profile {run.profile}: the verdicts are about this machine, this run, {where}."]
    if not run.complete:
        sentences.append("The run was interrupted: what is missing was not measured.")
    margins = sorted({row.comparison.margin for row in report.rows() if row.comparison and row.comparison.ratio})
    if margins:
        named = ", ".join(units.percent(margin) for margin in margins)
        sentences.append(
            "Speed-up is time of the reference over time of this member, with its 95 % interval; "
            f"a difference below the margin of {named} does not matter, and the 90 % interval decides the verdict."
        )
    if report.family:
        number = units.counted(report.family, "comparison")
        methods = " and ".join(method.title() for method in CORRECTIONS)
        sentences.append(f"p-values are adjusted over the {number} of this table by {methods}.")
    return sentences
