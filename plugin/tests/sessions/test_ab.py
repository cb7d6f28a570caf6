"""``duet ab`` on a small git repository with two commits of a suite: its output and exit status."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from pytest_duet import session
from pytest_duet.cli import main
from pytest_duet.errors import DataError, StoreError
from pytest_duet.extras import worktrees
from pytest_duet.extras.worktrees import Worktree, WorktreeError, check_out
from pytest_duet.records import files, journal, store

from .suites import Program, Python, Suite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

BEFORE_NS = 2_000_000
PASSED, INTERRUPTED, USAGE, REGRESSION, CANNOT_DECIDE, INVALID, UNAVAILABLE = 0, 2, 2, 10, 11, 12, 13
ERROR, STORAGE_FAILED = 4, 14


def _git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)  # noqa: S607 - git is found as every shell finds it


def _commit(root: Path) -> None:
    _git(root, "add", "-A")
    _git(root, "commit", "--quiet", "--allow-empty", "-m", "x")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose branch `main` has a suite of two programs that report times of their choice."""
    (tmp_path / ".gitignore").write_text(".duet/\nresults/\n__pycache__/\n")
    _git(tmp_path, "init", "--quiet")
    _write(tmp_path)
    _commit(tmp_path)
    return tmp_path


def _write(root: Path, *, ns: int = BEFORE_NS, fault: str = "honest", **changes: object) -> Suite:
    members = {"honest": Program(ns=BEFORE_NS, role="reference"), "twin": Program(fault, ns=ns)}
    return Suite(root, **{"members": members, **changes}).write()  # type: ignore[arg-type]


def _ab(root: Path, *arguments: str) -> Result:
    options = ["--benches", str(root / "benches"), "--results", str(root / "results")]
    return CliRunner().invoke(main, ["ab", *options, *arguments])


def _lines(result: Result) -> dict[str, str]:
    """Return the word that every case got, by case."""
    found = (line.split() for line in result.stdout.splitlines() if line.partition(" ")[0] in WORDS)
    return {words[1].rstrip(":"): words[0] for words in found}


WORDS = ("FAIL", "INVALID", "UNSEEN", "ok")
HONEST, TWIN = "tiny/fit-train-small/honest", "tiny/fit-train-small/twin"


# --- what it finds ----------------------------------------------------------------------------------------------------


def test_an_unchanged_suite_passes_with_a_line_for_each_case(repository: Path) -> None:
    result = _ab(repository, "main")

    assert PASSED == result.exit_code, result.output
    assert {HONEST: "ok", TWIN: "ok"} == _lines(result)
    assert "head working tree: 2 ok" in result.stdout


def test_a_slowdown_of_five_percent_is_a_regression_on_one_line(repository: Path) -> None:
    _write(repository, ns=BEFORE_NS * 105 // 100)

    result = _ab(repository, "main")

    assert REGRESSION == result.exit_code, result.output
    assert {HONEST: "ok", TWIN: "FAIL"} == _lines(result)
    (line,) = [each for each in result.stdout.splitlines() if each.startswith("FAIL")]
    assert line.startswith(f"FAIL {TWIN}: +5 % [+5 %, +5 %]")
    assert "surely slower by more than 1 %" in line
    assert "Holm p = 0.0078, 8 cells" in line


@pytest.mark.parametrize(("ns", "word"), [(BEFORE_NS * 1005 // 1000, "ok"), (BEFORE_NS // 2, "ok")])
def test_an_uncertain_slowdown_and_a_speed_up_pass(repository: Path, ns: int, word: str) -> None:
    _write(repository, ns=ns)

    result = _ab(repository, "main", "-k", "twin")

    assert (PASSED, {TWIN: word}) == (result.exit_code, _lines(result))


def test_two_commits_are_compared_independently_of_the_working_tree(repository: Path) -> None:
    _git(repository, "checkout", "--quiet", "-b", "slow")
    _write(repository, ns=BEFORE_NS * 2)
    _commit(repository)
    _write(repository, ns=BEFORE_NS // 2)

    assert REGRESSION == _ab(repository, "main", "slow", "-k", "twin").exit_code
    assert PASSED == _ab(repository, "slow", "main", "-k", "twin").exit_code


def test_no_call_is_too_slow_to_be_a_regression(repository: Path) -> None:
    _write(repository, ns=BEFORE_NS * 1000)

    result = _ab(repository, "main", "-k", "twin")

    assert (REGRESSION, {TWIN: "FAIL"}) == (result.exit_code, _lines(result))


def test_a_result_that_differs_from_base_is_invalid_even_if_faster(repository: Path) -> None:
    _write(repository, ns=BEFORE_NS // 2, fault="predicts_mean")

    result = _ab(repository, "main", "-k", "twin")

    assert (INVALID, {TWIN: "INVALID"}) == (result.exit_code, _lines(result))
    assert "parity with base failed" in result.stdout


def test_a_program_that_crashes_in_head_is_invalid(repository: Path) -> None:
    _write(repository, fault="exits")

    assert (INVALID, {TWIN: "INVALID"}) == ((result := _ab(repository, "main", "-k", "twin")).exit_code, _lines(result))


# --- what it cannot compare -------------------------------------------------------------------------------------------


def test_a_changed_data_recipe_cannot_be_decided(repository: Path) -> None:
    recipe = repository / "benches" / "tiny" / "data.py"
    recipe.write_text(recipe.read_text().replace("0.1", "0.2"))

    result = _ab(repository, "main", "-k", "twin")

    assert (CANNOT_DECIDE, {TWIN: "UNSEEN"}) == (result.exit_code, _lines(result))
    assert "its data recipe differs from base's" in result.stdout


def test_changed_parameters_cannot_be_decided(repository: Path) -> None:
    spec = repository / "benches" / "tiny" / "task.toml"
    spec.write_text(spec.read_text().replace("alpha = 2.0", "alpha = 3.0"))

    result = _ab(repository, "main", "-k", "twin")

    assert CANNOT_DECIDE == result.exit_code
    assert "its parameters differ from base's" in result.stdout


def test_data_that_cannot_be_made_cannot_be_decided(repository: Path) -> None:
    recipe = repository / "benches" / "tiny" / "data.py"
    recipe.write_text(recipe.read_text().replace("make(params, rng):", "make(params, rng):\n    import nowhere_at_all"))

    result = _ab(repository, "main")

    assert (CANNOT_DECIDE, {HONEST: "UNSEEN", TWIN: "UNSEEN"}) == (result.exit_code, _lines(result)), result.output
    assert "needs module 'nowhere_at_all' to make the data; install it" in result.stdout


def test_a_removed_case_cannot_be_decided_and_a_new_case_is_listed(repository: Path) -> None:
    members = {"honest": Program(ns=BEFORE_NS, role="reference"), "newcomer": Program(ns=1)}
    _write(repository, members=members)

    result = _ab(repository, "main")

    assert CANNOT_DECIDE == result.exit_code
    assert {HONEST: "ok", TWIN: "UNSEEN", "tiny/fit-train-small/newcomer": "ok"} == _lines(result)
    assert "head does not have it" in result.stdout
    assert "new: base does not have it" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere"], CANNOT_DECIDE, "nowhere: git knows no nowhere; name a branch, a tag or a commit"),
        (["nowhere", "--advisory"], PASSED, "nowhere: git knows no nowhere"),
        (["main", "-k", "nobody"], ERROR, "-k: no case of benches matches 'nobody'"),
        (["main", "-k", "twin and"], USAGE, "is not an expression; write for example"),
        (["main", "-k", "__import__"], ERROR, "no case of benches matches"),
        (["main", "--profile", "somke"], ERROR, "unknown profile 'somke'"),
        (["main", "--seconds", "-5"], USAGE, "-5.0 is not in the range x>0"),
        (["main", "--seconds", "nan"], USAGE, "nan is not a number of seconds; give one such as 8"),
        (["main", "--task", "sum"], USAGE, "--task describes the job of two commands"),
        (["main", "--phase", "call"], USAGE, "--phase describes the job of two commands"),
        (["main", "--data", "x=x.npy"], USAGE, "leave it out, or give --cmd instead of BASE"),
        ([], USAGE, "name either BASE or --cmd"),
        (["--cmd", "a", "b"], USAGE, "--cmd needs --task"),
        (["--cmd", "a", "b", "-k", "lasso"], USAGE, "-k selects cases of a suite"),
        (["--cmd", '"a', "b", "--task", "t"], USAGE, "--cmd: '\"a' cannot be read (No closing quotation); quote it"),
        (["--cmd", "", "b", "--task", "t"], USAGE, "--cmd: '' is empty; give two commands"),
        (["--cmd", "a", "''", "--task", "t"], USAGE, "is empty; give two commands"),
    ],
)
def test_unusable_arguments_are_refused_with_a_remedy(
    repository: Path, arguments: list[str], status: int, message: str
) -> None:
    result = _ab(repository, *arguments)

    assert (status, True) == (result.exit_code, message in result.stderr), result.output


def test_a_folder_outside_a_repository_cannot_be_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path)
    # Some folder above may be a repository.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    result = _ab(tmp_path, "main")

    assert CANNOT_DECIDE == result.exit_code
    assert "git" in result.stderr


def test_a_case_that_is_missing_on_both_sides_does_not_count_as_decided(repository: Path) -> None:
    lines = (repository / "benches" / "frameworks.toml").read_text()
    (repository / "benches" / "frameworks.toml").write_text(lines.replace('"{python}"', '"/nowhere/python"'))
    _commit(repository)

    assert CANNOT_DECIDE == _ab(repository, "HEAD", "-k", "twin").exit_code
    assert PASSED == _ab(repository, "HEAD", "-k", "twin", "--advisory").exit_code
    assert UNAVAILABLE == _ab(repository, "HEAD", "-k", "twin", "--advisory", "--strict").exit_code


def test_a_base_that_cannot_be_started_leaves_the_case_undecided(repository: Path) -> None:
    frameworks = repository / "benches" / "frameworks.toml"
    sound = frameworks.read_text()
    before, twin = sound.split("[twin]")
    frameworks.write_text(f"{before}[twin]{twin.replace('{python}', '/nowhere/python')}")
    _commit(repository)
    frameworks.write_text(sound)

    result = _ab(repository, "main")

    assert (CANNOT_DECIDE, {HONEST: "ok", TWIN: "UNSEEN"}) == (result.exit_code, _lines(result)), result.output
    assert f"UNSEEN {TWIN}: base unavailable: " in result.stdout


def test_a_profile_that_base_lacks_cannot_be_decided(repository: Path) -> None:
    profiles = repository / "benches" / "profiles.toml"
    profiles.write_text(profiles.read_text() + "\n[newer]\ngroup_seconds = 1\n")

    result = _ab(repository, "main", "--profile", "newer")

    assert (CANNOT_DECIDE, {HONEST: "UNSEEN", TWIN: "UNSEEN"}) == (result.exit_code, _lines(result)), result.output


def test_a_member_keeps_its_own_margin(repository: Path) -> None:
    spec = repository / "benches" / "tiny" / "task.toml"
    spec.write_text(spec.read_text() + '\n[[margins]]\nmember = "twin"\nmargin = 0.2\n')
    _commit(repository)

    assert PASSED == _ab(repository, "main").exit_code
    assert {HONEST: 0.05, TWIN: 0.2} == {each.id: each.margin for each in Suite(repository, {}).saved().groups}


# --- each side from its own tree --------------------------------------------------------------------------------------


def test_a_project_may_be_a_subfolder_of_its_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "inner"
    lock = project / "requirements" / "lock.txt"
    lock.parent.mkdir(parents=True)
    lock.write_text("numpy==2.0\n")
    _git(tmp_path, "init", "--quiet")
    _write(project)
    _commit(tmp_path)
    assert PASSED == _ab(project, "main").exit_code

    def install(argv: list[str], cwd: Path) -> str:
        raise WorktreeError(f"{cwd.name} wants {argv[0]}")

    lock.write_text("numpy==2.1\n")
    monkeypatch.setattr(worktrees, "_run", install)
    result = _ab(project, "main")
    assert (CANNOT_DECIDE, True) == (result.exit_code, "inner wants" in result.stderr), result.output


def test_each_side_imports_from_its_own_worktree(tmp_path: Path) -> None:
    _git(tmp_path, "init", "--quiet")
    _write(tmp_path, members={"honest": Python(1, role="reference", output="result * shared.FACTOR")})
    implementation = tmp_path / "benches" / "tiny" / "impl_honest.py"
    implementation.write_text("from .. import shared\n" + implementation.read_text())
    (tmp_path / "benches" / "shared.py").write_text("FACTOR = 1.0\n")
    _commit(tmp_path)
    (tmp_path / "benches" / "shared.py").write_text("FACTOR = 2.0\n")

    result = _ab(tmp_path, "main")

    assert INVALID == result.exit_code, result.output
    # Off by as much as the factor says, relative to the base's.
    assert "parity with base failed: output 'coef': close error 1 is over 1e-09" in result.stdout


def test_a_checkout_is_reused_and_edits_in_it_are_undone(repository: Path) -> None:
    tree = check_out(repository, "main", repository / ".duet" / "ab")
    (tree.root / "benches" / "frameworks.toml").write_text("broken")
    (tree.root / "benches" / "tiny" / "more.py").touch()

    again = check_out(repository, "main", repository / ".duet" / "ab")

    assert tree == again
    assert "scripted_worker.py" in (again.root / "benches" / "frameworks.toml").read_text()
    assert not (again.root / "benches" / "tiny" / "more.py").exists()


# --- progress, an end before its time, and what is kept ---------------------------------------------------------------


def test_a_measured_run_is_saved_and_its_journal_deleted(repository: Path) -> None:
    result = _ab(repository, "main")

    suite = Suite(repository, {})
    run = suite.saved()
    assert ("ab", True, [HONEST, TWIN]) == (run.mode, run.complete, [each.id for each in run.groups])
    assert [["base", "head"]] * 2 == [[member.name for member in each.members] for each in run.groups]
    assert [] == suite.journals()
    assert f"[2/2] {TWIN}: +0 % [+0 %, +0 %]" in result.stderr


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, BaseException], None]:
    """Make the n-th group end with an error."""

    def at(number: int, error: BaseException) -> None:
        count = 0
        measure = session.run_group

        def once_more(*args: object, **options: object) -> object:
            nonlocal count
            count += 1
            if count == number:
                raise error
            return measure(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(session, "run_group", once_more)

    return at


def test_ctrl_c_shows_and_saves_the_finished_cases(
    repository: Path, ended: Callable[[int, BaseException], None]
) -> None:
    _write(repository, ns=BEFORE_NS * 2)
    ended(2, KeyboardInterrupt())

    result = _ab(repository, "main", "-k", "twin or honest")

    suite = Suite(repository, {})
    assert INTERRUPTED == result.exit_code
    assert {HONEST: "ok"} == _lines(result)
    assert "interrupted: the rest was not measured" in result.stdout
    assert (False, []) == (suite.saved().complete, suite.journals())


def test_ctrl_c_before_the_first_measurement_is_an_interrupt(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Worktree:
        raise KeyboardInterrupt

    monkeypatch.setattr(worktrees, "check_out", interrupted)
    assert INTERRUPTED == _ab(repository, "main").exit_code


@pytest.mark.parametrize("error", [DataError("the cache is broken"), ZeroDivisionError("of the task's")])
def test_a_case_that_cannot_be_measured_does_not_end_the_others(
    repository: Path, ended: Callable[[int, BaseException], None], error: Exception
) -> None:
    _write(repository, ns=BEFORE_NS * 2)
    ended(1, error)

    result = _ab(repository, "main")

    assert (REGRESSION, {HONEST: "UNSEEN", TWIN: "FAIL"}) == (result.exit_code, _lines(result)), result.output
    assert f"UNSEEN {HONEST}: " in result.stdout
    assert str(error) in result.stdout
    assert [TWIN] == [each.id for each in Suite(repository, {}).saved().groups]


def _full(path: Path) -> StoreError:
    return files.unwritable(path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))


def test_a_journal_on_a_full_disk_loses_no_result(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def append(self: journal.Journal, _: object) -> None:
        raise _full(self.path)

    _write(repository, ns=BEFORE_NS * 2)
    monkeypatch.setattr(journal.Journal, "append", append)

    result = _ab(repository, "main")

    suite = Suite(repository, {})
    assert (STORAGE_FAILED, {HONEST: "ok", TWIN: "FAIL"}) == (result.exit_code, _lines(result)), result.output
    assert "No space left on device" in result.stderr
    assert [HONEST, TWIN] == [each.id for each in suite.saved().groups]
    assert [] == suite.journals()


def test_the_journal_stays_if_the_run_cannot_be_saved(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(_: object, root: Path) -> Path:
        raise _full(root)

    monkeypatch.setattr(store, "save", save)

    result = _ab(repository, "main")

    (left,) = Suite(repository, {}).journals()
    assert (STORAGE_FAILED, {HONEST: "ok", TWIN: "ok"}) == (result.exit_code, _lines(result)), result.output
    assert [HONEST, TWIN] == [each.id for each in journal.read(left).groups]


def test_each_finished_case_is_journalled_at_once(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    measure = session.run_group

    def look(*args: object, **options: object) -> object:
        seen.extend(
            (len(journal.read(path).groups), f"-{os.getpid()}." in path.name)
            for path in Suite(repository, {}).journals()
        )
        return measure(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "run_group", look)
    _ab(repository, "main")

    assert [(1, True)] == seen
