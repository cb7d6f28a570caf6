"""The options of pytest-benchmark: each keeps its meaning for replayed durations, or is refused."""

from __future__ import annotations

import json

import pytest

from .suites import Missing, Python, Suite, benchmarks, members_of, statuses, verdicts


def test_the_json_of_pytest_benchmark_holds_our_rounds_to_the_last_bit(pytester, session) -> None:
    # Odd numbers and several calls a round: another order of divisions would give another last bit.
    pair = Suite(pytester.path, {"honest": Python(3_999_967, role="reference"), "twin": Python(1_234_577)}).write()
    session("--benchmark-json=bench.json").assert_outcomes(passed=2)
    assert members_of(pair.saved())["twin"].calls_per_round == 3

    found = benchmarks(pytester.path / "bench.json")
    for name, member in members_of(pair.saved()).items():
        entry = found[f"bench_tiny[fit-train-small-{name}]"]
        rounds = [ns for cell in member.cells for cycle in cell for ns in cycle]
        assert [ns / member.calls_per_round / 1e9 for ns in rounds] == entry["stats"]["data"]
        assert (1, len(rounds)) == (entry["stats"]["iterations"], entry["stats"]["rounds"])
        assert member.cells == entry["extra_info"]["duet"]["cells_ns"]
        assert member.calls_per_round == entry["extra_info"]["duet"]["calls_per_round"]
        assert entry["group"] == "tiny/fit-train-small"
        assert entry["options"]["timer"] == "duet_worker_clock"
        assert name == entry["params"]["duet_member"]


def test_saved_benchmarks_can_be_compared(pytester, pair, session) -> None:
    session("--benchmark-save=first").assert_outcomes(passed=2)

    result = session("--benchmark-compare=0001")

    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["bench_tiny[[]fit-train-small-twin* (0001_first)* 2.0000 *"])


@pytest.mark.parametrize("option", ["--benchmark-cprofile=tottime", "--benchmark-compare-fail=mean:5%"])
def test_options_with_another_meaning_are_refused(pair, session, clock, option) -> None:
    result = session(option)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = option.partition("=")[0]
    result.stderr.fnmatch_lines([f"ERROR: {name} cannot be used with pytest-duet's benchmarks: *"])
    assert (clock.now, pair.runs()) == (1, [])


def test_benchmark_only_keeps_our_benchmarks(pytester, pair) -> None:
    pytester.makepyfile(bench_plain="def bench_plain(): pass")

    result = pytester.runpytest_inprocess("benches", "bench_plain.py", "--benchmark-only")

    result.assert_outcomes(passed=2, skipped=1)
    assert statuses(pair.saved()) == {"honest": "ok", "twin": "ok"}


def test_benchmark_skip_skips_our_benchmarks(pytester, pair, clock) -> None:
    pytester.makepyfile(bench_plain="def bench_plain(): pass")

    result = pytester.runpytest_inprocess("benches", "bench_plain.py", "--benchmark-skip")

    result.assert_outcomes(passed=1, skipped=2)
    assert (clock.now, pair.runs()) == (1, [])
    assert result.ret == pytest.ExitCode.OK


# --- verify mode: --benchmark-disable -------------------------------------------------------------------------------------


def test_verify_mode_checks_but_neither_times_nor_saves(pytester, pair, session) -> None:
    result = session("--benchmark-disable")

    result.assert_outcomes(passed=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["  verified only: parity and quality were checked, nothing was timed", "  twin * 0 ≤ 1e-9*0.9972"]
    )
    result.stdout.no_fnmatch_line("* ms *")
    assert not (pytester.path / "results").exists()


@pytest.mark.parametrize(
    ("fake", "why"),
    [
        (Python(output="result * 1.1"), "parity with honest failed"),
        (Python(output="np.full(3, 1.5)"), "parity with honest failed"),
        (Python(extra="raise ValueError('broken')"), "ValueError: broken"),
    ],
)
def test_verify_mode_fails_only_the_wrong_member(pytester, session, fake, why) -> None:
    Suite(pytester.path, {"honest": Python(role="reference"), "fake": fake, "twin": Python()}).write()

    result = session("--benchmark-disable")

    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"failed: *{why}*"])


def test_verify_mode_needs_no_results_folder(pytester, pair, session) -> None:
    (pytester.path / "results").write_text("in the way")

    session("--benchmark-disable").assert_outcomes(passed=2)


def test_verify_mode_skips_an_unavailable_member(pytester, session) -> None:
    Suite(pytester.path, {"honest": Python(role="reference"), "absent": Missing()}).write()

    session("--benchmark-disable").assert_outcomes(passed=1, skipped=1)


# --- with other benchmarks in the session ---------------------------------------------------------------------------------


def test_other_benchmarks_in_the_session_keep_their_own_clock(pytester, pair) -> None:
    pytester.makepyfile(bench_plain="def bench_plain(benchmark): benchmark(lambda: None)")

    result = pytester.runpytest_inprocess("benches", "bench_plain.py", "--benchmark-json=bench.json")

    result.assert_outcomes(passed=3)
    names = {name: each["options"]["timer"] for name, each in benchmarks(pytester.path / "bench.json").items()}
    assert names["bench_plain"] == "perf_counter"


def test_a_benchmark_marker_of_the_user_is_kept(pytester, session, pair) -> None:
    bench = pytester.path / "benches" / "tiny" / "bench_tiny.py"
    bench.write_text(
        "import pytest\nfrom pytest_duet import cases\n\n"
        "@pytest.mark.benchmark(group='mine')\n@cases(__file__)\ndef bench_tiny(duet):\n    duet()\n"
    )

    session("--benchmark-json=bench.json").assert_outcomes(passed=2)

    assert {"mine"} == {each["group"] for each in benchmarks(pytester.path / "bench.json").values()}


def test_a_failed_member_does_not_affect_the_results_of_the_others(pytester, session) -> None:
    members = {"honest": Python(role="reference"), "wrong": Python(output="result + 1"), "twin": Python()}
    suite = Suite(pytester.path, members).write()

    result = session("--benchmark-json=bench.json")

    result.assert_outcomes(passed=2, failed=1)
    assert len(json.loads((pytester.path / "bench.json").read_text())["benchmarks"]) == 2
    assert {"wrong": "not comparable"}.items() <= verdicts(suite.saved()).items()
    result.stdout.no_fnmatch_line("*Benchmark fixture was not used*")
