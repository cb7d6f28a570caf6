"""Inline groups, which a user declares in code: their inputs, their results, and the errors of wrong use."""

from __future__ import annotations

import pytest

from pytest_duet.records import store

from .suites import Suite, script, statuses, verdicts

HEAD = """\
import numpy as np
import pytest
from pytest_duet import compare, worker
from pytest_duet.workers.host import Host


def spend(ns):
    getattr(Host.clock, "spend", lambda ns: None)(ns)


def first(n, scale=1.0):
    spend(4_000_000)
    return n * scale


def second(n, scale=1.0):
    spend(2_000_000)
    return n * scale
"""


@pytest.fixture
def bench(pytester: pytest.Pytester):
    """Return a function that runs a file of pairs; its text follows `HEAD`."""
    pytester.makeini("[pytest]\naddopts = -p no:xdist\npython_files = bench_*.py\npython_functions = bench_*\n")

    def run(text: str, *args: str) -> pytest.RunResult:
        (pytester.path / "bench_pair.py").write_text(f"{HEAD}\n\n{text}")
        return pytester.runpytest_inprocess(*args)

    return run


def saved(pytester: pytest.Pytester):
    """Return the only saved run."""
    return Suite(pytester.path, {}).saved()


PAIR = """\
@compare(first, second)
@pytest.mark.parametrize("n", [3, 4])
def bench_pair(duet, n):
    duet(n)
"""


def test_items_and_groups_are_named_after_inputs_and_members(bench) -> None:
    result = bench(PAIR, "--collect-only", "-q")

    expected = ["3-first", "3-second", "4-first", "4-second"]
    assert [f"bench_pair.py::bench_pair[{each}]" for each in expected] == result.outlines[:4]


def test_each_input_is_a_group_with_a_verdict(pytester, bench) -> None:
    result = bench(PAIR)

    result.assert_outcomes(passed=4)
    run = saved(pytester)
    assert [tuple(member.name for member in group.members) for group in run.groups] == [("first", "second")] * 2
    assert [each.verdict for each in run.comparisons] == ["faster", "faster"]
    assert len({group.id for group in run.groups}) == 2


def test_a_different_result_fails_the_rival_and_not_the_reference(pytester, bench) -> None:
    result = bench(
        "def wrong(n, scale):\n    spend(2_000_000)\n    return n * scale + 1\n\n\n"
        "@compare(first, wrong, second)\ndef bench_pair(duet):\n    duet(3)\n"
    )

    result.assert_outcomes(passed=2, failed=1)
    assert statuses(saved(pytester)) == {"first": "ok", "wrong": "failed", "second": "ok"}


def test_arrays_strings_booleans_and_numbers_reach_functions_and_workers(pytester, bench) -> None:
    program = pytester.path / "total"
    program.write_text(script("honest"))
    program.chmod(0o755)

    result = bench(
        "def total(x, y, n, scale):\n    spend(2_000_000)\n    return float(x.sum() + y.sum() + n + scale)\n\n\n"
        '@compare(total, worker("./total", name="program"), worker(["./total"], name="again"))\n'
        "def bench_total(duet):\n    duet(np.arange(6.0), np.ones((2, 2)), n=np.int64(4), scale=2.5)\n",
        "-v",
    )

    result.assert_outcomes(passed=3)
    by_name = {member.name: member for member in saved(pytester).groups[0].members}
    assert by_name["program"].attestation.params == {"n": 4, "scale": 2.5}
    assert {"x", "y"} == set(by_name["program"].attestation.data)


def test_a_worker_with_a_wrong_result_fails(pytester, bench) -> None:
    program = pytester.path / "total"
    program.write_text(script("wrong_sum"))
    program.chmod(0o755)

    result = bench(
        "def total(n):\n    spend(2_000_000)\n    return float(n)\n\n\n"
        '@compare(total, worker("./total", name="program"))\ndef bench_total(duet):\n    duet(4)\n'
    )

    result.assert_outcomes(passed=1, failed=1)
    assert verdicts(saved(pytester)) == {"program": "not comparable"}


def test_a_worker_that_is_not_built_is_skipped_with_the_command_that_builds_it(bench) -> None:
    result = bench(
        '@compare(first, worker("target/release/none", name="rust", build="cargo build"))\n'
        "def bench_pair(duet):\n    duet(3)\n",
        "-rs",
    )

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * target/release/none does not exist; build it: cargo build"])


def test_inputs_that_a_member_changes_are_restored_for_the_next(pytester, bench) -> None:
    bench(
        "def fresh(x):\n    spend(2_000_000)\n    x += 1\n    return x.sum()\n\n\ndef other(x):\n    spend(2_000_000)\n    return (x + 1).sum()\n\n\n"
        "@compare(fresh, other)\ndef bench_pair(duet):\n    duet(np.zeros(5))\n"
    ).assert_outcomes(passed=2)


# --- bodies ---------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Benchmark fixture was not used at all")
def test_a_body_that_never_calls_duet_fails(bench) -> None:
    result = bench("@compare(first, second)\ndef bench_pair(duet):\n    pass\n")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*duet(...)*call it once*"])


def test_a_body_that_calls_duet_twice_fails(bench) -> None:
    result = bench("@compare(first, second)\ndef bench_pair(duet):\n    duet(3)\n    duet(3)\n")

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*duet(...)*call it once*"])
    result.stdout.no_fnmatch_line("*FixtureAlreadyUsed*")


def test_inputs_that_differ_between_items_are_refused_and_leave_no_times(pytester, bench) -> None:
    result = bench(
        "COUNT = iter(range(9))\n\n\n@compare(first, second)\ndef bench_pair(duet):\n    duet(3 + next(COUNT))\n"
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["the inputs differ from those of the group's first item; make them the same"])
    assert verdicts(saved(pytester)) == {"second": "not comparable"}
    result.stdout.no_fnmatch_line("*2.00x*")


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("duet([1, 2])", "duet(...): input 'n' is a list; give numbers, strings or numpy arrays of numbers"),
        ("duet(None)", "duet(...): input 'n' is a NoneType; give numbers, strings or numpy arrays of numbers"),
        (
            "duet(np.array(['a']))",
            "duet(...): input 'n' is a ndarray; give numbers, strings or numpy arrays of numbers",
        ),
        ("duet()", "duet(...): the inputs do not fit first(n, scale=1.0): missing a required argument: 'n'"),
        ("duet(1, 2, 3)", "duet(...): the inputs do not fit first(n, scale=1.0): too many positional arguments"),
        ("duet(n=1, m=2)", "duet(...): the inputs do not fit first(n, scale=1.0): got an unexpected keyword *'m'"),
    ],
)
def test_inputs_that_cannot_be_used_are_named(bench, call, why) -> None:
    result = bench(f"@compare(first, second)\ndef bench_pair(duet):\n    {call}\n")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([why.replace("[", "[[]")])
    result.stdout.no_fnmatch_line("*Traceback*")


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')", "2**70", "-2**63"])
def test_extreme_numbers_arrive_exactly_or_are_refused(pytester, bench, value) -> None:
    """No traceback, no silent null: both sides see the same, or the user is told."""
    program = pytester.path / "total"
    program.write_text(script("honest"))
    program.chmod(0o755)

    result = bench(
        "def total(n):\n    spend(2_000_000)\n    return float(n)\n\n\n"
        '@compare(total, worker("./total", name="program"))\n'
        f"def bench_total(duet):\n    duet({value})\n"
    )

    assert result.ret in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("bench_pair.py:*Error*")


def test_a_result_that_is_not_a_number_fails_its_member(bench) -> None:
    result = bench(
        "def text(n, scale):\n    spend(2_000_000)\n    return 'three'\n\n\n@compare(first, text)\ndef bench_pair(duet):\n    duet(3)\n"
    )

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["failed: text: output 'result' is a str; return numbers or arrays of numbers"])


# --- checks ---------------------------------------------------------------------------------------------------------------


def test_a_users_check_replaces_the_default_one(pytester, bench) -> None:
    check = "def near(a, b):\n    assert abs(a - b) < 2, f'{a} is far from {b}'\n\n\n"
    off = "def off(n, scale):\n    spend(2_000_000)\n    return n * scale + 1\n\n\ndef far(n, scale):\n    spend(2_000_000)\n    return n * scale + 5\n\n\n"

    result = bench(
        check + off + "@compare(first, off, far, check=near)\ndef bench_pair(duet):\n    duet(3)\n",
        "-p",
        "no:assertion",
    )

    result.assert_outcomes(passed=2, failed=1)
    assert statuses(saved(pytester)) == {"first": "ok", "off": "ok", "far": "failed"}
    result.stdout.fnmatch_lines(["failed: check near refused the result: 3.0 is far from 8.0*"])


@pytest.mark.parametrize("error", ["ValueError('odd')", "KeyError('x')", "ZeroDivisionError('by zero')"])
def test_a_check_that_raises_fails_only_its_member(pytester, bench, error) -> None:
    result = bench(
        f"def broken(a, b):\n    if b == 7:\n        raise {error}\n\n\n"
        "def seven(n, scale):\n    spend(2_000_000)\n    return 7.0\n\n\n"
        "@compare(first, seven, second, check=broken)\ndef bench_pair(duet):\n    duet(3)\n"
    )

    result.assert_outcomes(passed=2, failed=1)
    assert statuses(saved(pytester)) == {"first": "ok", "seven": "failed", "second": "ok"}
    result.stdout.fnmatch_lines(["failed: *check broken*"])


@pytest.mark.parametrize("name", ["Total Sum", "sum-2", ""])
def test_names_that_cannot_be_part_of_ids_are_a_usage_error(bench, name) -> None:
    result = bench(f"@compare(first, worker('./x', name={name!r}))\ndef bench_pair(duet):\n    duet(3)\n")

    assert result.ret != pytest.ExitCode.OK
    assert "is not usable; write lower-case letters, digits and _" in result.stdout.str() + result.stderr.str()


def test_two_members_with_the_same_name_are_a_usage_error(bench) -> None:
    result = bench("@compare(first, first)\ndef bench_pair(duet):\n    duet(3)\n")

    assert result.ret != pytest.ExitCode.OK
    assert "two members have the same name: first, first" in result.stdout.str() + result.stderr.str()


def test_a_benchmark_that_does_not_take_duet_is_a_usage_error(bench) -> None:
    result = bench("@compare(first, second)\ndef bench_pair(benchmark):\n    pass\n")

    assert (
        "does not use the fixture 'duet'; add it as a parameter and call it"
        in result.stdout.str() + result.stderr.str()
    )


def test_the_fixture_without_a_declaration_fails_with_the_remedy(bench) -> None:
    result = bench("def bench_pair(duet):\n    duet(3)\n")

    result.stdout.fnmatch_lines(["*the fixture 'duet' needs a benchmark declared with @cases or @compare*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_inputs_of_a_suite_come_from_its_spec(pytester, pair) -> None:
    bench = pytester.path / "benches" / "tiny" / "bench_tiny.py"
    bench.write_text(bench.read_text().replace("duet()", "duet(3)"))

    result = pytester.runpytest_inprocess("benches")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["duet(): takes no inputs here; they come from task.toml"])


def test_a_saved_pair_can_be_loaded(pytester, bench) -> None:
    bench(PAIR).assert_outcomes(passed=4)

    (path,) = pytester.path.glob("results/*/2*.json")
    assert [group.task for group in store.load(path).groups] == ["pair", "pair"]


def test_two_benchmarks_with_the_same_name_are_refused(pytester: pytest.Pytester, bench) -> None:
    (pytester.path / "bench_other.py").write_text(f"{HEAD}\n\n{PAIR}")
    result = bench(PAIR)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: two benchmarks are called pair/default-call-3, *; rename one"])


def test_the_memory_of_a_function_that_imports_a_neighbour_is_read(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\naddopts = -p no:xdist\npython_files = bench_*.py\npython_functions = bench_*\n")
    pytester.makepyfile(
        neighbour="def double(n):\n    return 2 * n\n",
        bench_near="""\
            from neighbour import double
            from pytest_duet import compare

            def first(n):
                return double(n)

            def second(n):
                return n + n

            @compare(first, second)
            def bench_near(duet):
                duet(3)
            """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    (group,) = saved(pytester).groups
    peaks = [next(r for r in each.readings if r.metric == "peak_memory") for each in group.members]
    assert [True, True] == [bool(peak.value) for peak in peaks], peaks


def test_a_hint_explains_why_pytest_collected_no_benchmarks(pytester: pytest.Pytester) -> None:
    (pytester.path / "bench_pair.py").write_text(f"{HEAD}\n\n{PAIR}")
    result = pytester.runpytest_inprocess("-p", "no:xdist")

    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["duet: there are benchmarks here *", "*python_files = *", "*python_functions = *"])


def test_benchmark_skip_prints_no_table(bench) -> None:
    result = bench(PAIR, "--benchmark-skip")

    result.assert_outcomes(skipped=4)
    result.stdout.no_fnmatch_line("*interrupted*")
