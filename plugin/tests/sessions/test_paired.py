"""With ``--duet-mode=paired`` every cell has new processes, in both languages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from .suites import REFERENCE_NS, TWIN_NS, Missing, Program, Python, Suite, members_of, statuses, verdicts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return every process that the scripted worker ran in so far."""
    file = tmp_path / "pids"
    monkeypatch.setenv("SCRIPTED_PIDS", str(file))
    return lambda: file.read_text().split()


def test_each_cell_has_a_new_process_of_each_member(pytester, session, pids) -> None:
    members = {"honest": Program(ns=REFERENCE_NS, role="reference"), "twin": Program(ns=TWIN_NS)}
    suite = Suite(pytester.path, members).write()

    result = session("--duet-mode=paired")

    assert 0 == result.ret
    run = suite.saved()
    assert ("paired", {"twin": "faster"}) == (run.mode, verdicts(run))
    cells = {len(member.cells) for member in members_of(run).values()}
    assert {8} == cells
    # Each member has one process for the checks, and one for each cell.
    assert {1: 2 * (1 + 8)} == dict(Counter(Counter(pids()).values()).items())
    assert "Mode paired" in result.stdout.str()
    assert "in fresh processes." in " ".join(result.outlines)


def test_a_python_member_never_runs_in_the_pytest_process(pytester, session) -> None:
    spy = "import os, pathlib\nwith pathlib.Path('pids').open('a') as file:\n    print(os.getpid(), file=file)"
    members = {"honest": Python(REFERENCE_NS, role="reference", extra=spy), "twin": Python(TWIN_NS)}
    suite = Suite(pytester.path, members).write()

    result = session("--duet-mode=paired")

    assert 0 == result.ret
    assert {"honest": "ok", "twin": "ok"} == statuses(suite.saved())
    seen = set((pytester.path / "pids").read_text().split())
    assert len(seen) >= 1 + 8
    import os

    assert str(os.getpid()) not in seen


def test_a_member_that_crashes_in_a_cell_does_not_stop_the_others(pytester, session) -> None:
    members = {
        "honest": Program(ns=REFERENCE_NS, role="reference"),
        "twin": Program(ns=TWIN_NS),
        "fragile": Program("crashes_later"),
    }
    suite = Suite(pytester.path, members).write()

    session("--duet-mode=paired")

    assert {"honest": "ok", "twin": "ok", "fragile": "crashed"} == statuses(suite.saved())


def test_a_missing_member_is_skipped_with_its_reason(pytester, session) -> None:
    members = {"honest": Program(role="reference"), "absent": Missing()}
    suite = Suite(pytester.path, members).write()

    result = session("--duet-mode=paired", "-rs")

    assert {"honest": "ok", "absent": "unavailable"} == statuses(suite.saved())
    result.stdout.fnmatch_lines(["*no module 'no_such_module'*"])


def test_an_unknown_mode_is_a_usage_error(pair, session) -> None:
    result = session("--duet-mode=pared")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    result.stderr.fnmatch_lines(["*--duet-mode: unknown mode 'pared'; did you mean 'paired'?"])


def test_the_mode_can_be_set_in_the_configuration(pytester, session) -> None:
    members = {"honest": Program(role="reference"), "twin": Program()}
    suite = Suite(pytester.path, members).write()
    ini = pytester.path / "pytest.ini"
    ini.write_text(f"{ini.read_text()}duet_mode = paired\n")

    session()

    assert "paired" == suite.saved().mode
