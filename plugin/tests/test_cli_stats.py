"""The command that prints classical tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner, Result
from scipy import stats as reference_stats

from pytest_duet.cli import main
from pytest_duet.records import store
from pytest_duet.stats.ratio import cell_log_ratios

from .samples import MACHINE, cells, everything, group, member, reference, run

if TYPE_CHECKING:
    from pathlib import Path

    from syrupy.assertion import SnapshotAssertion


def invoke(*arguments: object) -> Result:
    done = CliRunner().invoke(main, ["stats", *(str(argument) for argument in arguments)], terminal_width=100)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return store.save(everything(), tmp_path)


def test_all_classical_tests_are_printed(saved: Path, snapshot: SnapshotAssertion) -> None:
    done = invoke(saved, "--case", "regression::ridge*/native", "--test", "normality")
    assert done.exit_code == 0
    assert snapshot == done.stdout


def test_rounds_are_only_tested_on_request_and_called_descriptive(saved: Path) -> None:
    plain, asked = invoke(saved).stdout, invoke(saved, "--per-round").stdout
    assert "descriptive" not in plain
    assert "by single rounds, descriptive: they are not independent" in asked
    assert "lag-1 autocorrelation" in asked


def test_the_json_holds_every_comparison_with_four_corrections(saved: Path) -> None:
    found = json.loads(invoke(saved, "--json").stdout)
    compared = [each for each in everything().comparisons if each.ratio is not None]
    assert len(found) == len(compared) == found[0]["family"]
    (test,) = [each for each in found[0]["comparison"]["tests"] if each["name"] == "Mann-Whitney"]
    assert test["p_adjusted"].keys() == {"bonferroni", "holm", "benjamini-hochberg", "benjamini-yekutieli"}


def test_the_numbers_match_scipy(tmp_path: Path) -> None:
    ours, theirs = cells(0.8e6), cells(1e6)
    path = store.save(run(group(reference(cells=theirs), member("native", cells=ours))), tmp_path)
    (found,) = json.loads(invoke(path, "--json").stdout)
    p = {test["name"]: test["p"] for test in found["comparison"]["tests"]}
    differences = cell_log_ratios(ours, 1, theirs, 1)
    assert p["paired t"] == pytest.approx(reference_stats.ttest_1samp(differences, 0).pvalue)
    assert p["Shapiro-Wilk"] == pytest.approx(reference_stats.shapiro(differences).pvalue)


def many(tmp_path: Path, count: int, **changes: object) -> list[Path]:
    return [
        store.save(
            run(
                group(
                    reference(cells=cells(1e6 + index)), member("native", cells=cells(5e5 * (1 + 0.02 * (index % 3))))
                ),
                **changes,
            ),
            tmp_path,
        )
        for index in range(count)
    ]


def test_five_runs_are_combined_with_a_prediction_for_one_more(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert snapshot == invoke(*many(tmp_path, 6)).stdout


def test_fewer_runs_are_not_combined(tmp_path: Path) -> None:
    assert "this machine, this run: needs 5 runs of one machine" in invoke(*many(tmp_path, 4)).stdout


def test_machines_are_never_pooled(tmp_path: Path) -> None:
    other = msgspec.structs.replace(MACHINE, fingerprint="f" * 16)
    done = invoke(*many(tmp_path, 3), *many(tmp_path, 3, machine=other))
    assert (done.exit_code, "2 machines, which are never pooled" in done.stderr) == (14, True)


def test_copies_of_one_run_are_not_many_runs(saved: Path) -> None:
    done = invoke(*[saved] * 5)
    assert (done.exit_code, "is the same run as" in done.stderr) == (14, True)


@pytest.mark.parametrize("options", [["--per-round"], ["--test", "normality"]])
def test_options_for_a_single_run_refuse_several(tmp_path: Path, options: list[str]) -> None:
    done = invoke(*many(tmp_path, 5), *options)
    assert (done.exit_code, "need a single run; name one" in done.stderr) == (2, True)


def test_a_run_without_comparisons_says_so(tmp_path: Path) -> None:
    assert invoke(store.save(run(), tmp_path)).stdout == "no comparison has cells to test\n"


def test_a_file_that_is_not_a_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    done = invoke(tmp_path / "x.json")
    assert (done.exit_code, "is JSON, but not a run of pytest-duet" in done.stderr) == (14, True)
