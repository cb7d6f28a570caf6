"""The cases of a session: our exact selectors, their ini twins, and the ways of pytest itself."""

from __future__ import annotations

import pytest

from .suites import REFERENCE_NS, Python, Suite, statuses, verdicts

ALL = {
    (algorithm, phase, member)
    for algorithm in ("fit", "refit")
    for phase in ("train", "predict")
    for member in ("honest", "twin", "twin.fast", "third")
}


@pytest.fixture
def wide(pytester: pytest.Pytester) -> Suite:
    """Write a suite of two algorithms, two phases and four members, one of them a variant."""
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "twin": Python(),
        "twin.fast": Python(),
        "third": Python(),
    }
    return Suite(pytester.path, members, algorithms=("fit", "refit"), phases=("train", "predict")).write()


def collected(result: pytest.RunResult) -> set[tuple[str, str, str]]:
    """Return (algorithm, phase, member) of every collected case."""
    ids = [line.partition("[")[2].rstrip("]") for line in result.outlines if "bench_tiny[" in line]
    return {(parts[0], parts[1], parts[3]) for parts in (each.split("-") for each in ids)}


SELECTIONS = [
    ([], ALL),
    (["--duet-task=tiny"], ALL),
    (["--duet-algorithm=fit"], {each for each in ALL if each[0] == "fit"}),
    (["--duet-algorithm=fit,refit"], ALL),
    (["--duet-algorithm=fit", "--duet-algorithm=refit"], ALL),
    (["--duet-phase=predict"], {each for each in ALL if each[1] == "predict"}),
    (["--duet-framework=twin"], {each for each in ALL if each[2].startswith("twin")}),
    (["--duet-framework=twin.fast"], {each for each in ALL if each[2] == "twin.fast"}),
    (["--duet-framework=honest,third"], {each for each in ALL if each[2] in {"honest", "third"}}),
    (["--duet-framework", "t*"], {each for each in ALL if each[2].startswith("t")}),
    (
        ["--duet-algorithm=fit", "--duet-phase=train", "--duet-framework=twin.fast"],
        {("fit", "train", "twin.fast")},
    ),
    (["-k", "refit and third"], {("refit", phase, "third") for phase in ("train", "predict")}),
    (["-k", "third", "--duet-phase=train"], {(algorithm, "train", "third") for algorithm in ("fit", "refit")}),
]


@pytest.mark.parametrize(("args", "expected"), SELECTIONS, ids=[" ".join(args) or "all" for args, _ in SELECTIONS])
def test_selectors_choose_cases(wide, session, args, expected) -> None:
    result = session("--collect-only", "-q", *args)

    assert result.ret == pytest.ExitCode.OK
    assert expected == collected(result)


@pytest.mark.parametrize(
    ("selector", "typo", "meant"),
    [
        ("task", "tinny", "tiny"),
        ("algorithm", "refitt", "refit"),
        ("framework", "honset", "honest"),
        ("phase", "predcit", "predict"),
    ],
)
def test_an_unknown_name_is_a_usage_error_that_names_the_nearest(wide, session, selector, typo, meant) -> None:
    for names in (typo, f"{meant},{typo}"):
        result = session(f"--duet-{selector}={names}")

        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: --duet-{selector}: unknown {selector} '{typo}'; did you mean '{meant}'?"])
        assert wide.runs() == []


def test_an_unknown_name_is_an_error_even_if_no_benchmark_is_collected(pytester, wide) -> None:
    pytester.makepyfile(bench_plain="def bench_plain(): pass")

    result = pytester.runpytest_inprocess("bench_plain.py", "--duet-task=tinny")

    assert result.ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("duet_task = tiny", ALL),
        ("duet_algorithm = fit", {each for each in ALL if each[0] == "fit"}),
        ("duet_phase = predict", {each for each in ALL if each[1] == "predict"}),
        ("duet_framework = honest twin.fast", {each for each in ALL if each[2] in {"honest", "twin.fast"}}),
        ("duet_framework = honest,third", {each for each in ALL if each[2] in {"honest", "third"}}),
    ],
)
def test_the_ini_file_selects_like_the_options(pytester, wide, session, line, expected) -> None:
    with (pytester.path / "pytest.ini").open("a") as file:
        file.write(line + "\n")

    assert expected == collected(session("--collect-only", "-q"))


def test_an_option_takes_precedence_over_its_ini_twin(pytester, wide, session) -> None:
    with (pytester.path / "pytest.ini").open("a") as file:
        file.write("duet_algorithm = fit\n")

    assert {"refit"} == {each[0] for each in collected(session("--collect-only", "-q", "--duet-algorithm=refit"))}


def test_collecting_measures_and_saves_nothing(pair, session, clock) -> None:
    session("--collect-only").assert_outcomes()

    assert (clock.now, pair.runs()) == (1, [])


def test_excluded_items_are_counted_as_deselected(wide, session) -> None:
    session("--duet-algorithm=fit", "--duet-phase=train", "--duet-framework=honest").assert_outcomes(
        passed=1, deselected=15
    )


# --- a part of a group ----------------------------------------------------------------------------------------------------


def test_without_its_reference_a_rival_is_checked_and_gets_no_verdict(pytester, session) -> None:
    suite = Suite(
        pytester.path,
        {"honest": Python(role="reference"), "twin": Python(), "wrong": Python(output="result * 2")},
    ).write()

    result = session("-k", "twin or wrong", "-v")

    result.assert_outcomes(passed=1, failed=1, deselected=1)
    assert statuses(suite.saved()) == {"twin": "ok", "wrong": "failed"}
    assert "faster" not in verdicts(suite.saved()).values()
    result.stdout.fnmatch_lines(["failed: parity with honest failed: *"])


def test_a_group_of_one_gets_no_verdict(pair, session) -> None:
    result = session("-k", "twin")

    result.assert_outcomes(passed=1, deselected=1)
    assert (statuses(pair.saved()), verdicts(pair.saved())) == ({"twin": "ok"}, {})
    result.stdout.fnmatch_lines(["  twin  2.00 ms * alone *"])


def test_a_node_id_selects_one_member(pytester, pair) -> None:
    result = pytester.runpytest_inprocess("benches/tiny/bench_tiny.py::bench_tiny[fit-train-small-honest]")

    result.assert_outcomes(passed=1)
    assert statuses(pair.saved()) == {"honest": "ok"}


def test_deselect_excludes_a_member(pair, session) -> None:
    session("--deselect", "benches/tiny/bench_tiny.py::bench_tiny[fit-train-small-twin]").assert_outcomes(
        passed=1, deselected=1
    )

    assert statuses(pair.saved()) == {"honest": "ok"}


def test_last_failed_runs_the_failed_member_against_its_reference(pytester, session) -> None:
    suite = Suite(
        pytester.path, {"honest": Python(role="reference"), "wrong": Python(output="result * 2"), "twin": Python()}
    ).write()
    session().assert_outcomes(passed=2, failed=1)

    result = session("--lf", "-v")

    result.assert_outcomes(failed=1)
    assert statuses(suite.runs()[-1]) == {"wrong": "failed"}
    result.stdout.fnmatch_lines(["failed: parity with honest failed: *"])


def test_the_first_failure_ends_the_session_with_exitfirst(pytester, session) -> None:
    members = {"honest": Python(role="reference"), "wrong": Python(output="result * 2"), "twin": Python()}
    suite = Suite(pytester.path, members, workloads=("small", "large")).write()

    result = session("-x")

    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    first, second = suite.saved().groups
    assert {"ok", "failed"} == {member.status for member in first.members}
    assert {"interrupted"} == {member.status for member in second.members}
    assert not suite.saved().complete


def test_a_session_works_without_the_cache_provider(pair, session) -> None:
    session("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_a_session_without_benchmarks_is_left_alone(pytester) -> None:
    pytester.makepyfile(test_plain="def test_plain(benchmark): benchmark(lambda: None)")

    result = pytester.runpytest_inprocess("test_plain.py", "--benchmark-cprofile=tottime")

    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= duet =*")
    assert not (pytester.path / "results").exists()
