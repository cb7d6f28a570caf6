"""The whole terminal output and the whole saved file of a deterministic session."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_duet.report.formats import terminal

from .suites import REFERENCE_NS, Missing, Program, Python, Suite

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRUBBED = {
    "created",
    "digest",
    "version",
    "machine",
    "elapsed_ns",
    "compiler",
    "versions",
    "source_digest",
    "blas",
    "data",
    "data_digest",
    "features",
}
"""Keys that depend on the machine, the time or the libraries."""


@pytest.fixture
def every(pytester: pytest.Pytester) -> Suite:
    """Return a written suite with a member for each outcome."""
    rules = '[[unsound]]\nmember = "unsound"\nreason = "it is broken"\nreproducer = "tests/x.py::test_y"\n'
    members: Mapping[str, Any] = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "faster": Python(2_000_000),
        "slower": Python(5_000_000),
        "equal": Python(REFERENCE_NS + 40_000),
        "context": Python(1_000_000, role="context"),
        "program": Program(ns=3_000_000),
        "wrong": Python(output="result * 1.5"),
        "unsound": Python(),
        "absent": Missing(),
        "slow": Python(80_000_000),
        "crash": Program("exits"),
    }
    return Suite(pytester.path, members, rules=rules).write()


def table(result: pytest.RunResult) -> str:
    """Return the verdict table: the text between the heading and the name of the saved file."""
    text = "\n".join(result.outlines).partition("= duet =")[2].partition("\n")[2]
    text = re.sub(r"attested: .*?(?=\n  \S|\n\n)", "attested: ...", text, flags=re.DOTALL)
    return text.partition("saved: ")[0]


def scrub(value: Any) -> Any:
    """Return `value` without what depends on the machine, and with rounding errors set to 0."""
    if isinstance(value, dict):
        return {key: "..." if key in SCRUBBED else scrub(each) for key, each in value.items()}
    if isinstance(value, list):
        return [scrub(each) for each in value]
    if isinstance(value, float):
        return 0.0 if abs(value) < 1e-9 else float(f"{value:.6g}")
    return value


@pytest.mark.parametrize("option", ["-q", "--verbosity=0", "-v"])
def test_the_verdict_table(every, session, snapshot, option) -> None:
    assert snapshot == table(session(option))


def test_the_saved_run(pytester, every, session, snapshot) -> None:
    session()

    (path,) = pytester.path.glob("results/*/2*.json")
    assert snapshot == json.dumps(scrub(json.loads(path.read_text())), indent=1, sort_keys=True)


def test_the_verdict_table_is_below_those_of_pytest_benchmark(pair, session) -> None:
    session().stdout.fnmatch_lines(["* benchmark 'tiny/fit-train-small': 2 tests *", "*= duet =*", "saved: results/*"])


@pytest.mark.parametrize("options", [["-p", "no:terminal"], ["--tb=no", "-qq"]])
def test_an_unusual_reporter_does_not_disturb_the_session(pair, session, options) -> None:
    assert session(*options).ret == pytest.ExitCode.OK
    assert pair.saved().complete


def test_each_test_has_its_own_share_of_the_time(pytester, pair, session) -> None:
    session("--junitxml=junit.xml").assert_outcomes(passed=2)

    text = (pytester.path / "junit.xml").read_text()
    seconds = {
        member.name: sum(ns for cell in member.cells for cycle in cell for ns in cycle) / 1e9
        for member in pair.saved().groups[0].members
    }
    for name, expected in seconds.items():
        (found,) = re.findall(rf'name="bench_tiny\[fit-train-small-{name}\]" time="([\d.]+)"', text)
        # The rest is the setup and teardown of the fixture.
        assert expected <= float(found) < expected + 1.0


def test_the_status_of_each_case_is_shown_if_the_table_fails(pair, session, monkeypatch) -> None:
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(terminal, "render", broken)
    result = session()
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["duet: internal error, please report it: ZeroDivisionError: of ours", "*/honest  ok", "*/twin  ok"]
    )
    result.stdout.fnmatch_lines(["saved: *"])
