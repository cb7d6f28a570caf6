"""Files of other tools: what they hold is read, what they do not hold is said to be missing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import StoreError
from pytest_duet.records import store
from pytest_duet.records.importers import summary

if TYPE_CHECKING:
    from pathlib import Path

HYPERFINE = {
    "results": [
        {"command": "a", "mean": 0.3, "median": 0.2, "times": [0.1, 0.2, 0.6], "exit_codes": [0, 0, 0]},
        {"command": "b", "mean": 0.3, "times": [0.1], "exit_codes": [1]},
        {"command": "c", "mean": 0.4},
    ]
}
PYPERF = {
    "benchmarks": [
        {"runs": [{"values": [0.1, 0.2, 0.3]}, {"values": [0.4]}, {"warmups": [[1, 2.0]]}]},
        {"metadata": {"name": "memory", "unit": "byte"}, "runs": [{"values": [1.0]}]},
    ],
    "metadata": {"name": "sort", "unit": "second", "cpu_model_name": "Example", "cpu_count": 4, "platform": "Linux"},
    "version": "1.0",
}


def ms(log_ns: float) -> float:
    return math.exp(log_ns) / 1e6


def test_hyperfines_times_are_read_and_its_machine_is_unknown() -> None:
    found = summary(HYPERFINE, "h.json", "ab")
    assert (found.tool, found.fingerprint) == ("hyperfine", "")
    assert ms(found.cases["a"].log_ns) == pytest.approx(200)
    assert (found.cases["b"].status, found.cases["b"].log_ns) == ("failed", None)
    assert ms(found.cases["c"].log_ns) == pytest.approx(400)


def test_pyperf_gives_one_number_a_process_and_only_seconds() -> None:
    found = summary(PYPERF, "p.json", "ab")
    assert ms(found.cases["sort"].log_ns) == pytest.approx(math.sqrt(200 * 400))
    assert found.cases["memory"].reason == "its unit is 'byte', not seconds"
    assert (found.tool, found.machine, len(found.fingerprint)) == ("pyperf", "Example", 16)


def test_a_file_that_pytest_benchmark_itself_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(benchmark):\n    benchmark(sum, range(100))\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--benchmark-json=out.json"]
    limits = ["--benchmark-max-time=0.01", "--benchmark-min-rounds=3", "test_it.py"]
    subprocess.run([*command, *limits], cwd=tmp_path, check=True, capture_output=True)
    found = store.load_summary(tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())["benchmarks"][0]
    assert found.tool == "pytest-benchmark"
    assert math.exp(found.cases["test_it.py::test_it"].log_ns) == pytest.approx(written["stats"]["median"] * 1e9)
    assert found.cases["test_it.py::test_it"].margin is None


def benchmarks(*documents: dict[str, object]) -> dict[str, object]:
    return {"benchmarks": list(documents), "machine_info": {"cpu": {"brand_raw": "Example"}}}


def benchmark(name: str = "x::y", **ours: object) -> dict[str, object]:
    return {"fullname": name, "stats": {"median": 0.1}, "extra_info": {"duet": ours} if ours else {}}


def test_our_cases_keep_name_and_conditions_in_pytest_benchmarks_file() -> None:
    case = "cnn/lenet-train-digits/tch@threads=2"
    found = summary(benchmarks(benchmark(case=case, conditions="profile smoke")), "", "")
    assert {name: each.conditions for name, each in found.cases.items()} == {case: "profile smoke"}


@pytest.mark.parametrize("ours", [{"group": "cnn", "member": "tch"}, {"case": "cnn/tch"}, {"case": 3, "conditions": 4}])
def test_what_lacks_its_conditions_goes_by_its_full_name(ours: dict[str, object]) -> None:
    found = summary(benchmarks(benchmark(**ours)), "", "")
    assert {name: each.conditions for name, each in found.cases.items()} == {"x::y": ""}


@pytest.mark.parametrize(
    "document",
    [
        benchmarks(benchmark(), benchmark(), benchmark("other")),
        {"results": [{"command": name, "median": 0.1} for name in ("x::y", "x::y", "other")]},
        {
            "benchmarks": [
                {"metadata": {"name": name}, "runs": [{"values": [0.1]}]} for name in ("x::y", "x::y", "other")
            ]
        },
    ],
)
def test_a_name_that_is_there_twice_means_neither(document: dict[str, object]) -> None:
    found = summary(document, "", "").cases
    assert {name: each.status for name, each in found.items()} == {"x::y": "invalid", "other": "ok"}
    assert found["x::y"].reason == "its name is there twice"


@pytest.mark.parametrize("median", [float("nan"), 0.0, -1.0])
def test_a_median_that_makes_no_sense_is_invalid(median: float) -> None:
    bench = {"fullname": "x::y", "stats": {"median": median}}
    found = summary({"benchmarks": [bench], "machine_info": {"cpu": "odd"}}, "", "")
    assert (found.cases["x::y"].status, found.fingerprint) == ("invalid", "")


@pytest.mark.parametrize("document", [[], {}, "x", {"benchmarks": 3}, {"results": [{"mean": 1.0}]}, None, 7])
def test_what_none_of_them_wrote_is_none_of_theirs(document: object, tmp_path: Path) -> None:
    assert summary(document, "", "") is None
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    with pytest.raises(StoreError, match="no saved run of pytest-duet, pytest-benchmark, hyperfine or pyperf"):
        store.load_summary(path)
