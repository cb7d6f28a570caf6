"""Workers are launched by their framework's spec; a missing part is named with its remedy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from pytest_duet.spec.launch import THREAD_VARIABLES, launch_spec
from pytest_duet.spec.load import load_frameworks
from pytest_duet.spec.suite import Suite

if TYPE_CHECKING:
    from pathlib import Path

FRAMEWORKS = """
[sklearn]
title = "scikit-learn"
language = "python"
modules = ["json"]

[absent]
title = "Absent"
language = "python"
modules = ["json", "no_such_module_anywhere"]
extra = "absent"

[native]
title = "native"
language = "rust"

[odd]
title = "odd"
language = "rust"
command = ["{python}", "{root}/odd.py", "{threads}"]
environment = { ODD = "{threads}/{root}" }
"""


def _suite(root: Path) -> Suite:
    benches = root / "benches"
    benches.mkdir()
    (benches / "frameworks.toml").write_text(FRAMEWORKS)
    return Suite(benches, load_frameworks(benches / "frameworks.toml"), profiles={}, tasks={})


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return _suite(tmp_path)


def test_an_unbuilt_rust_worker_names_the_build_command(suite: Suite) -> None:
    how = launch_spec(suite, "native", threads=1)
    assert "target/release/duet-native is not built; build it: duet build native" == how.missing
    assert "duet build native" == how.build


def test_a_built_rust_worker_is_launched_and_must_match_its_sources(tmp_path: Path) -> None:
    suite = _suite(tmp_path)
    binary = tmp_path / "target" / "release" / "duet-native"
    binary.parent.mkdir(parents=True)
    binary.touch()
    how = launch_spec(suite, "native", threads=1)
    crates = tmp_path / "rust_crates"
    assert ("process", (str(binary),), "") == (how.kind, how.argv, how.missing)
    sources = (str(crates / "frameworks" / "native"), str(crates / "duet-worker"))
    assert (sources, str(crates / "Cargo.lock")) == (how.sources, how.lock)


def test_a_python_framework_that_is_not_installed_names_the_install_command(suite: Suite) -> None:
    expected = "Absent is not installed (no module 'no_such_module_anywhere'); pip install 'pytest-duet[absent]'"
    assert expected == launch_spec(suite, "absent", threads=1).missing


def test_a_python_member_runs_in_this_process_or_in_a_worker(suite: Suite) -> None:
    how = launch_spec(suite, "sklearn", threads=1)
    assert ("direct", "") == (how.kind, how.missing)
    assert (
        sys.executable,
        "-P",
        "-m",
        "pytest_duet",
        "serve",
        "--benches",
        str(suite.benches),
        "--framework",
        "sklearn",
    ) == (how.argv)


def test_a_command_is_filled_in_and_has_no_sources_to_match(suite: Suite) -> None:
    how = launch_spec(suite, "odd", threads=1)
    root = str(suite.project)
    assert ("process", (sys.executable, f"{root}/odd.py", "1"), "") == (how.kind, how.argv, how.missing)
    assert f"1/{root}" == how.environment["ODD"]
    assert ((), "", "") == (how.sources, how.lock, how.build)


def test_every_worker_is_limited_to_one_thread(suite: Suite) -> None:
    for name in suite.frameworks:
        assert dict.fromkeys(THREAD_VARIABLES, "1").items() <= launch_spec(suite, name, threads=1).environment.items()
