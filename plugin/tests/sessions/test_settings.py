"""Options for profiles, results folders, plans and strictness: their effects and exit statuses."""

from __future__ import annotations

import errno
import os
import platform
from pathlib import Path

import pytest

from pytest_duet.digests import file_digest, source_digest
from pytest_duet.errors import StoreError
from pytest_duet.records import files, journal, machine, store

from .suites import REFERENCE_NS, Binary, Missing, Program, Python, Suite, script, statuses

STORAGE_FAILED = 14
UNAVAILABLE = 13


@pytest.fixture
def gaps(pytester: pytest.Pytester) -> Suite:
    """Return a written suite of two good members and two that are not there."""
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "absent": Missing(),
        "unbuilt": Binary(),
        "twin": Python(),
    }
    return Suite(pytester.path, members).write()


def ini(suite: Suite, line: str) -> None:
    """Add `line` to the ini file of `suite`."""
    with (suite.root / "pytest.ini").open("a") as file:
        file.write(line + "\n")


# --- profiles -------------------------------------------------------------------------------------------------------------


def test_smoke_is_the_default_profile(pair, session) -> None:
    session().assert_outcomes(passed=2)

    assert "smoke" == pair.saved().profile == pair.saved().groups[0].profile


@pytest.mark.parametrize("way", ["option", "ini"])
def test_a_profile_sets_the_budget(pair, session, way) -> None:
    if way == "ini":
        ini(pair, "duet_profile = long")
    session("--duet-profile=smoke").assert_outcomes(passed=2)
    session(*(["--duet-profile=long"] if way == "option" else [])).assert_outcomes(passed=2)
    smoke, long = sorted(pair.runs(), key=lambda run: run.profile, reverse=True)

    assert ("smoke", "long") == (smoke.profile, long.profile)
    # More seconds than smoke's make more cycles.
    assert len(smoke.groups[0].members[0].cells[0]) < len(long.groups[0].members[0].cells[0])


def test_an_unknown_profile_is_a_usage_error_that_names_the_nearest(pair, session) -> None:
    result = session("--duet-profile=lnog")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --duet-profile: unknown profile 'lnog'; did you mean 'long'?"])


def test_a_rival_over_the_cap_is_checked_and_not_timed(pytester, session) -> None:
    suite = Suite(
        pytester.path, {"honest": Python(role="reference"), "slow": Python(90_000_000), "twin": Python()}
    ).write()

    result = session("-rs")

    result.assert_outcomes(passed=2, skipped=1)
    assert statuses(suite.saved())["slow"] == "skipped"
    result.stdout.fnmatch_lines(["SKIPPED * too slow: 0.09 s a call, the cap of profile smoke is 0.05 s *"])


# --- results --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["option", "ini"])
def test_a_run_is_saved_in_the_given_folder_and_can_be_loaded(pytester, pair, session, way) -> None:
    if way == "ini":
        ini(pair, "duet_results = elsewhere/deep")
    result = session(*(["--duet-results=elsewhere/deep"] if way == "option" else []))

    (path,) = pytester.path.glob("elsewhere/deep/*/*.json")
    run = store.load(path)
    assert run.complete
    assert statuses(run) == {"honest": "ok", "twin": "ok"}
    assert path.parent == machine.folder(pytester.path / "elsewhere" / "deep", run.machine)
    result.stdout.fnmatch_lines([f"saved: {path.relative_to(pytester.path)}"])
    assert not (pytester.path / "results").exists()


def test_no_journal_is_left_beside_a_saved_run(pair, session) -> None:
    session().assert_outcomes(passed=2)

    assert pair.journals() == []


def test_a_saved_run_names_no_host_and_no_path(pytester, pair, session) -> None:
    session().assert_outcomes(passed=2)

    (path,) = pytester.path.glob("results/*/*.json")
    text = path.read_text()
    assert str(pytester.path) not in text
    assert platform.node() not in text


def test_results_that_cannot_be_written_end_the_session_before_anything_runs(pytester, pair, session, clock) -> None:
    (pytester.path / "results").write_text("I am no folder")

    result = session()

    assert result.ret == STORAGE_FAILED
    assert clock.now == 1
    assert "cannot be written" in result.stdout.str() + result.stderr.str()
    assert (pytester.path / "results").read_text() == "I am no folder"


def test_data_is_cached_in_the_given_folder_and_made_once(pytester, pair, session) -> None:
    session("--duet-cache=kept").assert_outcomes(passed=2)
    before = {path: path.stat().st_mtime_ns for path in pytester.path.glob("kept/data/*/*")}

    session("--duet-cache=kept").assert_outcomes(passed=2)

    assert before == {path: path.stat().st_mtime_ns for path in pytester.path.glob("kept/data/*/*")}
    assert {"x.npy", "y.npy", "manifest.json"} == {path.name for path in before}


def test_data_that_changed_on_disk_fails_the_group_and_names_both_digests(pytester, pair, session) -> None:
    session().assert_outcomes(passed=2)
    (path,) = pytester.path.glob(".duet/data/*/x.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")

    result = session()

    result.assert_outcomes(failed=2)
    result.stdout.re_match_lines([r".*x\.npy: has SHA-256 [0-9a-f]{64}, its manifest says [0-9a-f]{64}; the cache is"])


# --- plans ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["option", "ini"])
def test_a_plan_runs_nothing_and_names_what_is_missing(gaps, session, clock, way) -> None:
    if way == "ini":
        ini(gaps, "duet_plan = true")
    result = session(*(["--duet-plan"] if way == "option" else []))

    assert result.ret == pytest.ExitCode.OK
    assert (clock.now, gaps.runs()) == (1, [])
    result.stdout.fnmatch_lines(
        [
            "tiny/fit-train-small (rows 40): <= * s",
            "  honest * would run",
            "  absent * unavailable: absent is not installed (no module 'no_such_module'); pip install *nowhere*",
            "  unbuilt * unavailable: target/release/duet-unbuilt is not built; build it: duet build unbuilt",
            "  twin * would run",
            "1 group, profile smoke: at most about * min *; nothing was run",
        ]
    )
    assert not (gaps.root / "results").exists()


def test_a_plan_estimates_the_time_from_saved_runs(pair, session) -> None:
    session().assert_outcomes(passed=2)

    session("--duet-plan").stdout.fnmatch_lines(["*: about * min (from saved runs); nothing was run"])


def test_a_plan_shows_declared_skips_with_their_reproducer(pytester, session) -> None:
    rules = '[[unsound]]\nmember = "twin"\nreason = "it is broken"\nreproducer = "tests/x.py::test_y"\n'
    suite = Suite(pytester.path, {"honest": Python(role="reference"), "twin": Python()}, rules=rules).write()

    session("--duet-plan").stdout.fnmatch_lines(
        ["  twin * not comparable: it is broken [[]reproducer: tests/x.py::test_y]"]
    )
    result = session("-rs")

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * not comparable: it is broken [[]reproducer: tests/x.py::test_y]"])
    assert statuses(suite.saved()) == {"honest": "ok", "twin": "skipped"}


# --- strictness -----------------------------------------------------------------------------------------------------------


def test_an_unavailable_member_is_skipped_with_the_command_that_helps(gaps, session) -> None:
    result = session("-rs")

    result.assert_outcomes(passed=2, skipped=2)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["SKIPPED * absent is not installed *", "SKIPPED *duet-unbuilt is not built; build it: duet build unbuilt"]
    )
    expected = {"honest": "ok", "absent": "unavailable", "unbuilt": "unavailable", "twin": "ok"}
    assert expected == statuses(gaps.saved())


@pytest.mark.parametrize("way", ["option", "ini"])
def test_strict_exits_with_13_if_a_member_is_unavailable(gaps, session, way) -> None:
    if way == "ini":
        ini(gaps, "duet_strict = true")
    result = session(*(["--duet-strict"] if way == "option" else []))

    result.assert_outcomes(passed=2, skipped=2)
    assert result.ret == UNAVAILABLE


def test_strict_passes_if_every_member_is_available(pair, session) -> None:
    assert session("--duet-strict").ret == pytest.ExitCode.OK


def test_strict_ignores_members_that_were_not_selected(gaps, session) -> None:
    assert session("--duet-strict", "--duet-framework=honest,twin").ret == pytest.ExitCode.OK


def test_strict_also_applies_without_timing(gaps, session) -> None:
    assert session("--duet-strict", "--benchmark-disable").ret == UNAVAILABLE


def test_a_failed_test_takes_precedence_over_strict(pytester, session) -> None:
    members = {"honest": Python(role="reference"), "absent": Missing(), "wrong": Python(output="result + 1")}
    Suite(pytester.path, members).write()

    assert session("--duet-strict").ret == pytest.ExitCode.TESTS_FAILED


# --- full disks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes the disk full from now on, for the files of results alone."""
    real = os.fsync

    def fill() -> None:
        def fsync(descriptor: int) -> None:
            target = Path(f"/proc/self/fd/{descriptor}").readlink()
            if "results" in target.parts and ".probe" not in target.name and not target.is_dir():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)

    return fill


def test_a_full_disk_keeps_the_table_and_old_files_and_exits_with_14(pytester, pair, session, full_disk) -> None:
    session().assert_outcomes(passed=2)
    before = {path: path.read_bytes() for path in pytester.path.glob("results/*/*")}
    full_disk()

    result = session()

    result.assert_outcomes(passed=2)
    assert result.ret == STORAGE_FAILED
    result.stdout.fnmatch_lines(["  twin * 2.00x * faster *", "duet: not saved: *(No space left on device)*"])
    kept = {path: path.read_bytes() for path in pytester.path.glob("results/*/*.json")}
    assert before == kept
    leftovers = [path for path in pytester.path.glob("results/*/*") if path.suffix != ".json"]
    assert all(path.read_bytes() == b"" for path in leftovers if path.suffix == ".jsonl")
    assert [path for path in leftovers if path.suffix != ".jsonl"] == []


def test_a_failed_test_takes_precedence_over_a_full_disk(pytester, session, full_disk) -> None:
    Suite(pytester.path, {"honest": Python(role="reference"), "wrong": Python(output="result + 1")}).write()
    full_disk()

    result = session()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["duet: not saved: *"])


def test_a_full_disk_takes_precedence_over_strict(gaps, session, full_disk) -> None:
    full_disk()

    assert session("--duet-strict").ret == STORAGE_FAILED


def test_a_run_that_cannot_be_saved_leaves_a_journal_that_can_be_loaded(pytester, pair, session, monkeypatch) -> None:
    real = files.write_whole

    def write_whole(path, content):
        if path.suffix == ".json":
            raise StoreError(f"{path}: cannot be written (Input/output error)")
        real(path, content)

    monkeypatch.setattr(files, "write_whole", write_whole)

    result = session()

    assert result.ret == STORAGE_FAILED
    (path,) = pair.journals()
    assert statuses(journal.read(path).run()) == {"honest": "ok", "twin": "ok"}
    assert statuses(store.load(path)) == {"honest": "ok", "twin": "ok"}


# --- programs -------------------------------------------------------------------------------------------------------------


def test_a_built_worker_and_a_command_run_beside_python(pytester, session, monkeypatch) -> None:
    members = {
        "honest": Python(REFERENCE_NS, role="reference"),
        "program": Program(),
        "crate": Binary(script("honest")),
    }
    suite = Suite(pytester.path, members).write()
    crates = pytester.path / "rust_crates"
    monkeypatch.setenv("SCRIPTED_SOURCES", source_digest([crates / "frameworks" / "crate", crates / "duet-worker"]))
    monkeypatch.setenv("SCRIPTED_LOCK", file_digest(crates / "Cargo.lock"))

    session().assert_outcomes(passed=3)

    by_name = {member.name: member for member in suite.saved().groups[0].members}
    assert by_name["crate"].language == "rust"
    assert by_name["program"].language == "python"
    assert 2_000_000 * by_name["crate"].calls_per_round == by_name["crate"].cells[0][0][0]
