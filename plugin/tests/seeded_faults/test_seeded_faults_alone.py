"""Faults that need a session of their own: in references, stale builds, hangs, undeclared threads."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pytest_duet.digests import file_digest, source_digest
from pytest_duet.telemetry import cpu

from ..sessions.suites import (
    REFERENCE_NS,
    Binary,
    Missing,
    Program,
    Python,
    Suite,
    members_of,
    script,
    statuses,
    verdicts,
)

HONEST = Python(REFERENCE_NS, role="reference")
SHORT = "[smoke]\ngroup_seconds = 0.2\nobserve_seconds = 0.05\nrequest_seconds = 3.0\n"
WATCHED = "[smoke]\ngroup_seconds = 0.2\nobserve_seconds = 0.4\nrequest_seconds = 60.0\n"


# pytest-benchmark warns if every member was refused, which is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:Not saving anything, no benchmarks have been run")


def run(pytester: pytest.Pytester, suite: Suite, *args: str) -> pytest.RunResult:
    """Run pytest over `suite` in this process, on the real clock."""
    suite.write()
    return pytester.runpytest_inprocess("benches", *args)


# --- references -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (Python(output="np.full(3, 1.5)", role="reference"), "the output is constant"),
        (Python(output="np.array([1e-6, -1e-6, 0])", role="reference"), "quality r2 .* is below its floor"),
        (Python(output="result * np.nan", role="reference"), "does not agree with itself: .* error inf"),
        (Python(output="result + Fit.calls", role="reference"), "the reference does not agree with itself"),
        (Python(output="result.astype('f4')", role="reference"), "has dtype float32, the job says float64"),
        (Python(extra="raise OSError('broken')", role="reference"), "OSError: broken"),
        (Program("exits", role="reference"), "exited with status 3 while asked to verify"),
        (Program("wrong_later", role="reference"), "a timed round gave another answer"),
        (Program("zero_round", role="reference"), "reports a round of 0 ns"),
    ],
    ids=["constant", "mean", "nan", "fickle", "f32", "raises", "exits", "wrong later", "zero round"],
)
def test_a_failed_reference_fails_its_own_test_and_its_rivals_are_skipped(
    pytester: pytest.Pytester, reference: Python | Program, why: str
) -> None:
    suite = Suite(pytester.path, {"fake": reference, "twin": Python(), "other": Python()})

    result = run(pytester, suite, "--benchmark-json=bench.json")

    result.assert_outcomes(failed=1, skipped=2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    members = members_of(suite.saved())
    assert re.search(why, members["fake"].reason)
    for rival in ("twin", "other"):
        assert members[rival].status == "skipped"
        assert members[rival].reason.startswith("not comparable: reference fake ")
    assert [member.cells for member in members.values()] == [[], [], []]
    assert verdicts(suite.saved()) == {"twin": "not comparable", "other": "not comparable"}
    result.stdout.no_fnmatch_line("*x [[]*")
    assert not (pytester.path / "bench.json").exists()


def test_a_missing_reference_skips_everything(pytester: pytest.Pytester) -> None:
    suite = Suite(pytester.path, {"absent": Missing(role="reference"), "twin": Python()})

    result = run(pytester, suite)

    result.assert_outcomes(skipped=2)
    assert result.ret == pytest.ExitCode.OK
    members = members_of(suite.saved())
    assert statuses(suite.saved()) == {"absent": "unavailable", "twin": "skipped"}
    assert members["twin"].reason == "not comparable: reference absent unavailable"


def test_outputs_that_quality_cannot_read_fail_only_their_member(pytester: pytest.Pytester) -> None:
    rules = '[[quality]]\nmember = "scalar_output"\nparams = { alpha = 2.0 }\n'
    members = {"honest": HONEST, "scalar_output": Program("scalar_output"), "twin": Python()}
    suite = Suite(pytester.path, members, rules=rules)

    run(pytester, suite).assert_outcomes(passed=2, failed=1)

    assert statuses(suite.saved()) == {"honest": "ok", "scalar_output": "invalid", "twin": "ok"}


# --- builds -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def crate(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """Return a written suite whose Rust member attests the digests in its environment, at first the right ones."""
    suite = Suite(pytester.path, {"honest": HONEST, "twin": Python(), "crate": Binary(script("honest"))}).write()
    crates = pytester.path / "rust_crates"
    monkeypatch.setenv("SCRIPTED_SOURCES", source_digest([crates / "frameworks" / "crate", crates / "duet-worker"]))
    monkeypatch.setenv("SCRIPTED_LOCK", file_digest(crates / "Cargo.lock"))
    return suite


def test_a_binary_built_from_the_current_sources_is_used(pytester: pytest.Pytester, crate: Suite) -> None:
    result = pytester.runpytest_inprocess("benches")

    result.assert_outcomes(passed=3)
    assert statuses(crate.saved())["crate"] == "ok"


@pytest.mark.parametrize("changed", ["frameworks/crate/src/main.rs", "duet-worker/src/main.rs", "frameworks/crate/new"])
def test_a_binary_of_other_sources_is_refused(pytester: pytest.Pytester, crate: Suite, changed: str) -> None:
    with (pytester.path / "rust_crates" / changed).open("a") as file:
        file.write("// newer\n")

    result = pytester.runpytest_inprocess("benches")

    result.assert_outcomes(passed=2, failed=1)
    reason = members_of(crate.saved())["crate"].reason
    assert re.fullmatch(
        r"crate is stale: it was built from sources \w{12}, the tree holds \w{12}; rebuild it: duet build crate", reason
    )


def test_an_older_modification_time_does_not_hide_a_change(pytester: pytest.Pytester, crate: Suite) -> None:
    source = pytester.path / "rust_crates" / "frameworks" / "crate" / "src" / "main.rs"
    source.write_text("fn main() { /* older */ }\n")
    os.utime(source, (1, 1))

    pytester.runpytest_inprocess("benches").assert_outcomes(passed=2, failed=1)


def test_a_binary_of_another_lock_is_refused(pytester: pytest.Pytester, crate: Suite) -> None:
    (pytester.path / "rust_crates" / "Cargo.lock").write_text("# other versions\n")

    pytester.runpytest_inprocess("benches").assert_outcomes(passed=2, failed=1)

    assert "crate is stale: it was built from lock" in members_of(crate.saved())["crate"].reason


def test_a_debug_binary_is_refused_with_the_command_that_rebuilds_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = Suite(pytester.path, {"honest": HONEST, "twin": Python(), "crate": Binary(script("debug_build"))})

    run(pytester, suite).assert_outcomes(passed=2, failed=1)

    reason = members_of(suite.saved())["crate"].reason
    assert reason == "crate is a debug build; its times mean nothing; rebuild it: duet build crate"


@pytest.mark.parametrize("content", [b"\x7fELF of another machine", b""], ids=["other machine", "empty"])
def test_a_binary_that_cannot_be_started_is_unavailable(
    pytester: pytest.Pytester, crate: Suite, content: bytes
) -> None:
    binary = pytester.path / "target" / "release" / "duet-crate"
    binary.write_bytes(content)

    result = pytester.runpytest_inprocess("benches")

    result.assert_outcomes(passed=2, skipped=1)
    assert statuses(crate.saved())["crate"] == "unavailable"
    assert "duet build crate" in members_of(crate.saved())["crate"].reason


def test_a_worker_given_with_its_source_is_refused_when_stale(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\npython_files = bench_*.py\npython_functions = bench_*\n")
    (pytester.path / "source").mkdir()
    (pytester.path / "source" / "main.c").write_text("int main() { return 0; }\n")
    program = pytester.path / "sum"
    program.write_text(script("honest"))
    program.chmod(0o755)
    pytester.makepyfile(
        bench_sum="""
        from pytest_duet import compare, worker

        def python_sum(n):
            return float(n)

        @compare(python_sum, worker("./sum", name="stale", source="source", build="make sum"), worker("./sum", name="other"))
        def bench_sum(duet):
            duet(3)
        """
    )

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["failed: stale is stale: it was built from sources 000000000000, the tree holds *; rebuild it: make sum"]
    )


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_worker_that_hangs_is_killed_at_its_deadline(pytester: pytest.Pytester) -> None:
    suite = Suite(pytester.path, {"honest": HONEST, "hangs": Program("hangs"), "twin": Python()}, profiles=SHORT)

    result = run(pytester, suite)

    result.assert_outcomes(passed=2, failed=1)
    assert members_of(suite.saved())["hangs"].reason == "hangs did not answer verify within 3 s"
    assert statuses(suite.saved())["hangs"] == "timeout"
    assert "twin" in verdicts(suite.saved())


def burnt_share() -> float:
    """Return how many CPUs this process can keep busy right now: other processes may use them."""
    table = np.ones((300, 300))
    until = time.monotonic() + 0.2

    def work() -> None:
        while time.monotonic() < until:
            np.sin(table)

    busy, start = time.process_time(), time.monotonic()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.process_time() - busy) / (time.monotonic() - start)


@pytest.mark.usefixtures("observed")
def test_undeclared_threads_are_seen_from_outside(pytester: pytest.Pytester) -> None:
    suite = Suite(pytester.path, {"burns": Program("burns"), "calm": Program(role="reference")}, profiles=WATCHED)
    for _ in range(3):
        share = burnt_share()
        if share < 1.6:
            continue
        result = run(pytester, suite, "--benchmark-json=bench.json")
        if statuses(suite.runs()[-1])["burns"] != "ok":
            break
    else:
        if share < 1.6:
            pytest.skip(f"only {share:.2f} CPUs are available, too few to break the limit")

    assert_burns_is_refused(result, suite)


class Counter:
    """Replaces the kernel's count of CPU time: zero when a process is read first, `used` from then on."""

    def __init__(self, word: str, used: int) -> None:
        """Count for the process with `word` among its arguments; all others use nothing."""
        self._word = word
        self._used = used
        self._seen: set[int] = set()

    def __call__(self, pid: int) -> int:
        """Return what `pid` has used, in ns."""
        mine = self._word in Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        again = pid in self._seen
        self._seen.add(pid)
        return self._used if mine and again else 0


@pytest.mark.usefixtures("observed")
def test_the_cpu_time_that_the_observer_counts_decides(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = Suite(pytester.path, {"calm": Program(role="reference"), "burns": Program("watched")})
    monkeypatch.setattr(cpu, "used_ns", Counter("watched", 100_000_000_000))

    assert_burns_is_refused(run(pytester, suite, "--benchmark-json=bench.json"), suite)


@pytest.mark.usefixtures("observed")
def test_one_tick_of_the_kernels_clock_refuses_no_member(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count goes in steps of 10 ms, and a call that turns out short is over before the next."""
    suite = Suite(pytester.path, {"calm": Program(role="reference"), "quick": Program("watched")})
    monkeypatch.setattr(cpu, "used_ns", Counter("watched", 10_000_000))

    run(pytester, suite).assert_outcomes(passed=2)


def assert_burns_is_refused(result: pytest.RunResult, suite: Suite) -> None:
    """Check that only `burns` lost its times."""
    result.assert_outcomes(passed=1, failed=1)
    saved = suite.runs()[-1]
    assert statuses(saved) == {"burns": "failed", "calm": "ok"}
    member = members_of(saved)["burns"]
    assert re.fullmatch(
        r"burns kept [\d.]+ CPUs busy, but one thread was asked for, whatever it attests", member.reason
    )
    assert member.attestation is not None
    assert member.attestation.threads == 1
    assert (member.cells, member.readings) == ([], [])
    assert verdicts(saved) == {"burns": "not comparable"}
    assert "burns" not in (suite.root / "bench.json").read_text()


def test_a_log_full_of_escapes_reaches_no_terminal_and_no_file(pytester: pytest.Pytester) -> None:
    suite = Suite(pytester.path, {"honest": HONEST, "prints_escapes": Program("prints_escapes"), "twin": Python()})

    result = run(pytester, suite, "--color=no", "-rA", "--junitxml=junit.xml")

    result.assert_outcomes(passed=2, failed=1)
    assert "prints_escapes exited with status 9" in result.stdout.str()
    assert "gone" in result.stdout.str()
    hostile = {"\x1b", "\x07", "\u202e"}
    assert set() == hostile & set(result.stdout.str())
    assert set() == hostile & set((pytester.path / "junit.xml").read_text())
