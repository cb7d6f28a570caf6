"""Read the JSON of pytest-benchmark, hyperfine and pyperf as run summaries: one time a case.

None of these tools records pairs, parity, quality or what really ran. Their files give no verdict between members; they
can only be compared with a baseline of earlier files of the same tool.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pytest_duet.records.machine import fingerprint
from pytest_duet.records.summaries import CaseSummary, RunSummary, summary_from_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class _Loose(msgspec.Struct, frozen=True, kw_only=True):
    """The base of other tools' formats: fields that are not needed are ignored, those that are needed are checked."""


class _Stats(_Loose, frozen=True, kw_only=True):
    median: float
    data: list[float] = []


class _Benchmark(_Loose, frozen=True, kw_only=True):
    fullname: str
    stats: _Stats
    extra_info: dict[str, Any] = {}


class _PytestBenchmark(_Loose, frozen=True, kw_only=True):
    benchmarks: list[_Benchmark]
    machine_info: dict[str, Any]
    datetime: str = ""
    version: str = ""


def _pytest_benchmark(document: _PytestBenchmark) -> tuple[str, str, str, Iterator[tuple[str, CaseSummary]]]:
    info = document.machine_info
    cpu = found if isinstance(found := info.get("cpu"), dict) else {}
    name = str(cpu.get("brand_raw") or cpu.get("brand") or info.get("processor") or "")
    parts = (name, str(cpu.get("count", "")), str(info.get("machine", "")), str(info.get("release", "")))
    return document.datetime, name, fingerprint(parts) if name else "", map(_benchmark, document.benchmarks)


def _benchmark(benchmark: _Benchmark) -> tuple[str, CaseSummary]:
    """Return the case and its summary, by the name and conditions of pytest-duet where a session of it wrote both."""
    ours = benchmark.extra_info.get("duet")
    case, conditions = (ours.get("case"), ours.get("conditions")) if isinstance(ours, dict) else (None, None)
    if not (isinstance(case, str) and isinstance(conditions, str)):
        case, conditions = benchmark.fullname, ""
    return case, summary_from_seconds([benchmark.stats.median], conditions)


class _Command(_Loose, frozen=True, kw_only=True):
    command: str
    median: float | None = None
    mean: float | None = None
    times: list[float] = []
    exit_codes: list[int | None] = []


class _Hyperfine(_Loose, frozen=True, kw_only=True):
    results: list[_Command]


def _hyperfine(document: _Hyperfine) -> tuple[str, str, str, Iterator[tuple[str, CaseSummary]]]:
    return "", "", "", ((each.command, _command(each)) for each in document.results)


def _command(command: _Command) -> CaseSummary:
    if any(code != 0 for code in command.exit_codes):
        return CaseSummary(status="failed", reason="the command ended with an exit status other than 0")
    single = command.median if command.median is not None else command.mean
    return summary_from_seconds(command.times or ([] if single is None else [single]), "")


class _Run(_Loose, frozen=True, kw_only=True):
    values: list[float] = []
    metadata: dict[str, Any] = {}


class _Perf(_Loose, frozen=True, kw_only=True):
    runs: list[_Run]
    metadata: dict[str, Any] = {}


class _Pyperf(_Loose, frozen=True, kw_only=True):
    benchmarks: list[_Perf]
    metadata: dict[str, Any] = {}


def _pyperf(document: _Pyperf) -> tuple[str, str, str, Iterator[tuple[str, CaseSummary]]]:
    common = {**document.metadata, **(document.benchmarks[0].metadata if document.benchmarks else {})}
    name = str(common.get("cpu_model_name", ""))
    parts = (name, str(common.get("cpu_count", "")), str(common.get("platform", "")))
    cases = (_perf(index, each, document.metadata) for index, each in enumerate(document.benchmarks))
    dates = [str(run.metadata.get("date", "")) for each in document.benchmarks for run in each.runs]
    return max(dates, default=""), name, fingerprint(parts) if name else "", cases


def _perf(index: int, benchmark: _Perf, common: Mapping[str, Any]) -> tuple[str, CaseSummary]:
    metadata = {**common, **benchmark.metadata}
    name = str(metadata.get("name", f"benchmark {index + 1}"))
    if (unit := metadata.get("unit", "second")) != "second":
        return name, CaseSummary(status="invalid", reason=f"its unit is {unit!r}, not seconds")
    # One number a process: as pyperf documents, values of one process are not independent.
    return name, summary_from_seconds([statistics.median(run.values) for run in benchmark.runs if run.values], "")


_KINDS: Final[tuple[tuple[str, type[Any], Callable[[Any], Any]], ...]] = (
    ("pytest-benchmark", _PytestBenchmark, _pytest_benchmark),
    ("hyperfine", _Hyperfine, _hyperfine),
    ("pyperf", _Pyperf, _pyperf),
)


def summary(document: object, source: str, digest: str) -> RunSummary | None:
    """Return the summary in `document`, the JSON of a file, or None where none of the three tools wrote it."""
    for tool, kind, read in _KINDS:
        try:
            shaped = msgspec.convert(document, kind, strict=False)
        except msgspec.ValidationError:
            continue
        created, machine, known_by, named = read(shaped)
        cases: dict[str, CaseSummary] = {}
        for name, case in named:
            # A name that occurs twice identifies neither.
            cases[name] = case if name not in cases else CaseSummary(status="invalid", reason="its name occurs twice")
        return RunSummary(
            source=source, digest=digest, created=created, tool=tool, fingerprint=known_by, machine=machine, cases=cases
        )
    return None
