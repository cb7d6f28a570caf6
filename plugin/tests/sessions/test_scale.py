"""``duet scale`` on a tiny suite: sizes, exponents, members left out, the saved run, and the arguments it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from pytest_duet.cli import main
from pytest_duet.cli.scale import sizes_of
from pytest_duet.errors import StoreError
from pytest_duet.records import journal, store

from .suites import REFERENCE_NS, TWIN_NS, Python, Suite

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

GROWING = "spend and spend({factor} * len(self.y))"


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A reference, a rival that is twice as fast at every size, one whose time grows with the rows, and a wrong one."""
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "twin": Python(TWIN_NS),
        "growing": Python(1000, extra=GROWING.format(factor=10_000)),
        "wrong": Python(output="result + 1.0"),
    }
    return Suite(tmp_path, members).write()


def _scale(suite: Suite, *args: str) -> Result:
    command = ["scale", "tiny", "fit", "--benches", str(suite.root / "benches")]
    return CliRunner().invoke(main, [*command, "--results", str(suite.root / "results"), *args])


def test_every_size_is_a_row_and_every_member_has_its_exponent(suite: Suite) -> None:
    result = _scale(suite, "--over", "rows=100..10000", "--points", "3", "--framework", "twin,growing")

    assert 0 == result.exit_code, result.output
    for expected in ("rows", "100", "1000", "10000", "4.00 ms", "2.00 ms"):
        assert expected in result.stdout
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if "time ~ rows^" in line}
    assert "rows^0.00" in lines["honest"]
    assert "at the end rows^1.00" in lines["growing"]
    # 10 ns a row against 4 ms: as slow at 400 rows.
    assert "slower from about rows = 4" in lines["growing"]
    (run,) = suite.runs()
    assert ["tiny/fit-train-small@rows=100", "tiny/fit-train-small@rows=1000"] == [each.id for each in run.groups[:2]]
    assert ["100x3", "1000x3", "10000x3"] == [group.workload_size for group in run.groups]


def test_the_json_holds_the_numbers_of_the_table(suite: Suite) -> None:
    result = _scale(suite, "--over", "rows=100..1000", "--points", "2", "--framework", "twin", "--json")

    document = json.loads(result.stdout)
    assert ("rows", [100, 1000]) == (document["over"], document["sizes"])
    ratio, low, high = document["members"]["twin"]["ratio"]["1000.0"]
    assert low <= ratio <= high
    assert 0.5 == pytest.approx(ratio, rel=0.01)
    assert 0 == pytest.approx(document["members"]["twin"]["exponent"][0], abs=0.01)


def test_a_member_that_would_take_too_long_is_left_out_of_larger_sizes(suite: Suite) -> None:
    result = _scale(suite, "--over", "rows=100..10000", "--points", "3", "--framework", "growing", "--call-cap", "0.05")

    assert "rows = 1000: honest, growing" in result.stderr
    assert "rows = 10000: honest\n" in result.stderr


def test_the_command_stops_if_the_reference_would_take_too_long(suite: Suite) -> None:
    result = _scale(suite, "--over", "rows=100..1000", "--points", "2", "--framework", "twin", "--call-cap", "0.001")

    assert "rows = 1000 and above: the reference would take more than 0.001 s a call" in result.stderr
    assert 1 == len(suite.saved().groups)


def test_a_full_disk_loses_no_row(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> Path:
        raise StoreError("results: No space left on device")

    monkeypatch.setattr(store, "save", save)
    result = _scale(suite, "--over", "rows=100..1000", "--points", "2", "--framework", "twin")
    assert (14, True) == (result.exit_code, "not saved: results: No space left" in result.stderr), result.output
    assert "time ~ rows^" in result.stdout
    (left,) = suite.journals()
    assert [each.id for each in journal.read(left).groups]


def test_a_member_that_fails_a_check_has_no_time_and_the_status_is_1(suite: Suite) -> None:
    result = _scale(suite, "--over", "rows=100..1000", "--points", "2", "--framework", "wrong,twin")

    assert 1 == result.exit_code
    assert "wrong, rows = 100: failed: parity with honest failed" in result.stdout.replace("\n  ", " ")
    assert "wrong   time ~" not in result.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--over", "rows"], "is not a range; write for example n=1e3..1e6"),
        (["--over", "rows=10..5"], "is not a range"),
        (["--over", "rosw=10..50"], "has an integer 'rosw'; did you mean 'rows'?"),
        (["--over", "rows=10..50", "--profile", "somke"], "unknown profile 'somke'; did you mean 'smoke'?"),
        (["--over", "rows=10..50", "--workload", "smal"], "unknown workload 'smal'; did you mean 'small'?"),
        (["--over", "rows=10..50", "--phase", "predict"], "unknown phase 'predict'"),
    ],
)
def test_unusable_arguments_are_a_usage_error(args: list[str], message: str, suite: Suite) -> None:
    result = _scale(suite, *args)

    assert 2 == result.exit_code
    assert message in result.stderr


def test_sizes_are_evenly_spaced_on_a_logarithmic_scale_two_per_decade_by_default() -> None:
    assert [1000, 3162, 10000, 31623, 100000] == sizes_of(1000, 100_000, None)
    assert [10, 100, 1000] == sizes_of(10, 1000, 3)
