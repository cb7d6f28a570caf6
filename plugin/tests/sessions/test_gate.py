"""The gate in a session: its exit status, its output, and the JUnit file."""

from __future__ import annotations

import os
import re
from xml.etree import ElementTree as ET

import msgspec
import pytest

from pytest_duet import session as engine
from pytest_duet.records import baselines, machine, store
from pytest_duet.session import run_group
from pytest_duet.spec.suite import load_suite

from .suites import REFERENCE_NS, TWIN_NS, Missing, Program, Python, Suite

REGRESSION, CANNOT_DECIDE, UNAVAILABLE, STORAGE_FAILED = 10, 11, 13, 14
NOISE = [0.011, -0.008, 0.003, -0.012, 0.006, 0.0, -0.004, 0.009, -0.01, 0.007, 0.002, -0.006]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make lines wide enough that none is wrapped."""
    monkeypatch.setenv("COLUMNS", "180")


@pytest.fixture
def before(pytester, pair, session):
    """Return a function that turns one session into a baseline of `count` runs and removes its own run."""

    def make(count: int = 12, *options: str, **changes: object) -> str:
        result = session("--duet-results=once", *options)
        assert result.ret == 0
        (path,) = pytester.path.glob("once/*/*.json")
        run = msgspec.structs.replace(store.load(path), **changes)
        for index, noise in enumerate(NOISE[:count]):
            groups = [_slower(group, 1 + noise) for group in run.groups]
            again = msgspec.structs.replace(run, created=f"2026-01-{index + 1:02}", groups=groups)
            store.save(again, pytester.path / "before")
        folder = next((pytester.path / "before").iterdir())
        baselines.save(baselines.load([folder]), pytester.path / "main.json")
        return "--duet-gate=main.json"

    return make


def _slower(group, factor):
    def scaled(cells):
        return [[[round(ns * factor) for ns in burst] for burst in cell] for cell in cells]

    members = [msgspec.structs.replace(member, cells=scaled(member.cells)) for member in group.members]
    return msgspec.structs.replace(group, members=members)


def slow_down(suite: Suite, factor: float) -> None:
    """Make the calls of the twin take `factor` times as long, by the virtual clock."""
    rewrite(suite, twin=Python(round(TWIN_NS * factor)))


def rewrite(suite: Suite, **rivals: object) -> None:
    """Write `suite` again, with these members and the reference."""
    Suite(suite.root, {"honest": Python(REFERENCE_NS, role="reference"), **rivals}).write()
    # A process of pytest reads each spec only once.
    load_suite.cache_clear()


def test_unchanged_code_passes_and_the_gate_prints_the_number_of_cases(pair, session, before) -> None:
    result = session(before())
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate: 2 passed; alarms at 1 % over 2 cases by Holm; exit status 0"])


def test_a_slower_case_is_measured_twice_and_reported_as_a_regression(pytester, pair, session, before) -> None:
    option = before()
    slow_down(pair, 1.3)

    result = session(option)

    result.assert_outcomes(passed=2)
    assert result.ret == REGRESSION
    result.stdout.fnmatch_lines(
        [
            "tiny/fit-train-small/twin * 2.00 ms * 2.60 ms *+30 % * slower * regression*",
            "    surely slower by more than 1 %",
            "gate: 1 passed, 1 regression; * exit status 10, regression",
        ]
    )
    assert len(pair.runs()) == 2


def test_an_alarm_that_a_second_measurement_does_not_raise_is_cleared(pair, session, before, clock) -> None:
    option = before()
    slow_down(pair, 1.3)
    # Once a run is saved, the member is as fast as before.
    path = pair.root / "benches" / "tiny" / "impl_twin.py"
    saved = "list(pathlib.Path('results').glob('*/2*.json'))"
    path.write_text(
        "import pathlib\n" + path.read_text().replace("spend(2600000", f"spend(2000000 if {saved} else 2600000")
    )

    result = session(option)

    made = [len(run.groups) for run in pair.runs()]
    assert (result.ret, made) == (0, [1, 1])


def test_an_alarm_is_measured_again_in_the_mode_of_the_session(pair, session, before) -> None:
    # In fresh processes, only the program itself can report virtual times.
    Suite(pair.root, {"honest": Program(ns=REFERENCE_NS, role="reference"), "twin": Program(ns=TWIN_NS)}).write()
    option = before(12, "--duet-mode=paired")
    rewrite(pair, honest=Program(ns=REFERENCE_NS, role="reference"), twin=Program(ns=round(TWIN_NS * 1.3)))
    assert session(option, "--duet-mode=paired").ret == REGRESSION
    assert ["paired", "paired"] == [run.mode for run in pair.runs()]


# Once the session's run is saved, the second measurement begins.
INTERRUPT = """\
import pathlib
if list(pathlib.Path('results').glob('*/2*.json')):
    raise KeyboardInterrupt
"""


def test_ctrl_c_in_the_second_measurement_interrupts_the_session_and_confirms_nothing(pair, session, before) -> None:
    option = before()
    rewrite(pair, twin=Python(round(TWIN_NS * 1.3), extra=INTERRUPT))
    result = session(option)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*in one run; measure once more to confirm or clear it"])
    assert [True] == [run.complete for run in pair.runs()]


def test_an_error_in_the_second_measurement_is_reported_and_confirms_nothing(
    pytester, pair, session, before, monkeypatch
) -> None:
    option = before()
    slow_down(pair, 1.3)
    measured = []

    def measure_once(*args, **kwargs):
        measured.append(args)
        if len(measured) > 1:
            raise ZeroDivisionError("a rule of the task folder")
        return run_group(*args, **kwargs)

    monkeypatch.setattr(engine, "run_group", measure_once)
    result = session(option)
    assert result.ret == CANNOT_DECIDE
    result.stdout.fnmatch_lines(["duet: * could not be measured again: ZeroDivisionError: a rule of the task folder"])


def test_a_faster_case_passes(pair, session, before) -> None:
    option = before()
    slow_down(pair, 0.7)
    result = session(option, "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["tiny/fit-train-small/twin * -30 % * faster * passed*"])


@pytest.mark.parametrize("way", ["option", "ini"])
def test_a_wider_margin_needs_less_precision(pair, session, before, way) -> None:
    option = before()
    options = ["--duet-margin=*/twin=50%", "--duet-explain=*/twin"]
    if way == "ini":
        with (pair.root / "pytest.ini").open("a") as file:
            file.write("duet_margin = */twin=50%\nduet_explain = */twin\n")
        options = []
    result = session(option, *options)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["  margin: 50 %; the 90 % interval must lie *", "* decides, by the margin of 50 %"])
    assert pair.saved().groups[0].margins == {"twin": 0.5}


def test_the_syntax_of_pytest_benchmark_raises_the_excess_that_alarms(pair, session, before) -> None:
    option = before()
    slow_down(pair, 1.3)
    result = session(option, "--duet-margin=mean:40%", "--duet-margin=*=60%")
    assert result.ret == 0


@pytest.mark.parametrize("text", ["5%", "stddev:5%", "mean:0.1"])
def test_a_margin_that_cannot_be_read_is_a_usage_error(pair, session, text) -> None:
    result = session(f"--duet-margin={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --duet-margin: margin * cannot be used; write PATTERN=5%, or mean:5% *"])


# --- undecided cases ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("advisory", "status"), [([], CANNOT_DECIDE), (["--duet-gate-advisory"], 0)])
def test_too_few_runs_decide_nothing(pair, session, before, advisory, status) -> None:
    result = session(before(9), *advisory)
    assert result.ret == status
    result.stdout.fnmatch_lines(["    a baseline needs 10 runs * and has 9; measure 1 more, or compare with: duet ab"])


def test_a_baseline_of_another_machine_decides_nothing(pair, session, before) -> None:
    other = msgspec.structs.replace(machine.this_machine(), fingerprint="f" * 16)
    result = session(before(machine=other))
    assert result.ret == CANNOT_DECIDE
    result.stdout.fnmatch_lines(["    *from another machine*"])


def test_a_missing_case_cannot_be_decided_unless_it_is_allowed_to_be_missing(pytester, pair, session, before) -> None:
    option = before()
    rewrite(pair, third=Python())
    assert session(option).ret == CANNOT_DECIDE
    result = session(option, "--duet-allow-missing=*/twin", "-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*new: nothing to compare*", "*it did not take part in this run; allowed to be missing"]
    )


@pytest.fixture
def two(pytester, pair) -> Suite:
    """Return the suite with two groups: `small` and `large`."""
    return Suite(pytester.path, pair.members, workloads=("small", "large")).write()


SKIP = """\
import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if "large" in item.name:
            item.add_marker(pytest.mark.{mark})
"""


@pytest.mark.parametrize("mark", ["skip(reason='later')", "xfail(run=False)"])
def test_a_skipped_group_is_missing_and_the_other_group_is_decided(pytester, two, session, before, mark) -> None:
    option = before()
    pytester.makeconftest(SKIP.format(mark=mark))
    Suite(two.root, {**two.members, "twin": Python(TWIN_NS * 2)}, workloads=two.workloads).write()
    load_suite.cache_clear()
    assert session(option).ret == REGRESSION
    assert all(run.complete for run in two.runs())

    Suite(two.root, two.members, workloads=two.workloads).write()
    load_suite.cache_clear()
    result = session(option)
    assert result.ret == CANNOT_DECIDE
    result.stdout.fnmatch_lines(["gate: 2 passed, 2 cannot decide; *"])
    assert session(option, "--duet-allow-missing=*-large/*").ret == 0


@pytest.mark.parametrize("choice", [["-k", "honest"], ["--duet-framework=honest"], ["--deselect", "NODE-twin]"]])
def test_a_case_that_was_not_selected_is_not_missing(pair, session, before, choice) -> None:
    node = "benches/tiny/bench_tiny.py::bench_tiny[fit-train-small"
    result = session(before(), *[each.replace("NODE", node) for each in choice])
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate: 1 passed; *"])


def test_a_single_test_by_name_is_compared_with_its_own_history_alone(pytester, before) -> None:
    option = before()
    result = pytester.runpytest_inprocess("benches/tiny/bench_tiny.py::bench_tiny[fit-train-small-twin]", option)
    assert result.ret == 0


# --- unusable baselines ---------------------------------------------------------------------------------------------------


def edited(path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"status":"ok"', b'"status":"oo"', 1))


BROKEN = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "edited": edited,
    "newer": lambda path: path.write_bytes(b'{"schema":99,"runs":[]}'),
    "foreign": lambda path: path.write_bytes(b'{"hello":1}'),
    "nested": lambda path: path.write_bytes(b"[" * 200_000),
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "fifo": lambda path: (path.unlink(), os.mkfifo(path)),
    "link out": lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
    "nan": lambda path: path.write_bytes(b'{"benchmarks":[{"runs":[]}],"metadata":NaN}'),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_an_unreadable_baseline_ends_the_session_before_anything_runs(
    pytester, pair, session, before, clock, fault
) -> None:
    option = before()
    BROKEN[fault](pytester.path / "main.json")
    clock.now = 1

    result = session(option)

    assert result.ret == CANNOT_DECIDE
    assert clock.now == 1
    text = result.stdout.str() + result.stderr.str()
    assert "main.json" in text
    assert "Traceback" not in text


def test_an_unreadable_baseline_is_reported_and_an_advisory_gate_passes(pair, session) -> None:
    result = session("--duet-gate=none.json", "--duet-gate-advisory")
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate: cannot decide: *none.json: there is no such file; check the path"])


@pytest.mark.parametrize("option", ["--benchmark-disable", "--benchmark-skip"])
def test_a_gate_needs_times(pair, session, option) -> None:
    result = session("--duet-gate=none.json", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --duet-gate needs times: drop {option}"])


def test_a_gate_without_benchmarks_decides_nothing(pytester) -> None:
    pytester.makepyfile("def test_plain(): pass")
    result = pytester.runpytest_inprocess("--duet-gate=none.json")
    assert result.ret == CANNOT_DECIDE
    assert "--duet-gate: no benchmark of pytest-duet was selected" in result.stdout.str() + result.stderr.str()


def test_a_gate_with_only_new_cases_decides_nothing(pytester, pair, session, before) -> None:
    option = before()
    Suite(pair.root, pair.members, workloads=("large",)).write()
    load_suite.cache_clear()
    result = session(option, "--duet-allow-missing=*")
    assert result.ret == CANNOT_DECIDE
    result.stdout.fnmatch_lines(["gate: * passed; no case was compared; exit status 11, cannot decide"])


# --- precedence of exit statuses ------------------------------------------------------------------------------------------


def test_a_failed_test_takes_precedence_over_a_regression(pytester, pair, session, before) -> None:
    option = before()
    rewrite(pair, twin=Python(TWIN_NS * 2), wrong=Python(output="result + 1"))
    result = session(option)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["gate: 1 passed, 1 regression, 1 invalid; *"])


def test_a_regression_takes_precedence_over_an_unavailable_framework(pytester, pair, session, before) -> None:
    option = before()
    rewrite(pair, twin=Python(TWIN_NS * 2), absent=Missing())
    assert session(option, "--duet-strict").ret == REGRESSION
    assert session(option, "--duet-strict", "--duet-framework=honest,absent").ret == UNAVAILABLE


# --- reports --------------------------------------------------------------------------------------------------------------


def test_each_decision_is_a_test_of_the_junit_file(pytester, pair, session, before) -> None:
    option = before()
    slow_down(pair, 1.3)
    result = session(option, "--junitxml=junit.xml")
    # The terminal counts tests, not decisions.
    result.assert_outcomes(passed=2)
    suite = ET.parse(pytester.path / "junit.xml").getroot()[0]  # noqa: S314 - we wrote it
    found = {case.get("name"): case for case in suite if case.get("classname") == "duet-gate"}
    assert found.keys() == {"tiny/fit-train-small/honest", "tiny/fit-train-small/twin"}
    (failure,) = found["tiny/fit-train-small/twin"]
    assert failure.tag == "failure"
    assert "regression: surely slower by more than 1 %" in (failure.get("message") or "") + (failure.text or "")
    assert list(found["tiny/fit-train-small/honest"]) == []


def test_an_undecided_case_of_an_advisory_gate_is_skipped_in_the_junit_file(pytester, pair, session, before) -> None:
    session(before(3), "--duet-gate-advisory", "--junitxml=junit.xml")
    text = (pytester.path / "junit.xml").read_text()
    assert len(re.findall(r'<skipped[^>]*message="cannot decide: a baseline needs 10 runs', text)) == 2


def test_explain_names_everything_a_verdict_rests_on(pair, session, snapshot) -> None:
    result = session("--duet-explain=*/twin")
    text = "\n".join(result.outlines).partition("duet: explanation")[2].partition("\n")[2].partition("saved:")[0]
    assert snapshot == text


def test_explain_without_a_matching_case_says_so(pair, session) -> None:
    session("--duet-explain=nobody").stdout.fnmatch_lines(["--duet-explain: no case of this run matches 'nobody'"])
