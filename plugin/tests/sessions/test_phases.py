"""Each phase is a command from files to files, and together they give the result of one session."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
from click.testing import CliRunner

from pytest_duet.binding.bind import bind
from pytest_duet.cli import main
from pytest_duet.measure.mode import DIRECT, PAIRED
from pytest_duet.phases.files import read_specs
from pytest_duet.phases.validate import validate
from pytest_duet.records import store
from pytest_duet.records.schema import GroupRecord
from pytest_duet.session import run_group

from .suites import REFERENCE_NS, TWIN_NS, Program, Python, Suite

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from pytest_duet.measure.mode import Mode
    from pytest_duet.spec.group import GroupSpec

ELSEWHERE = """
import dataclasses, random, sys
from functools import partial
from pathlib import Path
import msgspec
from pytest_duet.measure import time_group as group
from pytest_duet.measure.mode import MODES
from pytest_duet.measure.timing import time_members
from pytest_duet.phases.measure import measure
from pytest_duet.phases.validate import Validation

group.time_members = partial(time_members, clock=lambda: 0.0)
path, benches, cache, mode = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
mode = dataclasses.replace(MODES[mode], observed=False)
record = measure(Validation.read(path), mode, benches, cache, rng=random.Random(7))
sys.stdout.buffer.write(msgspec.json.encode(record))
"""
"""Measures a validation in a new process."""

RULES = """
[[growth]]
divide = "rows"
[[effect]]
param = "alpha"
factor = 1000.0
"""


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    """A reference, a correct rival, a wrong one, and one that fails only when it is timed."""
    members = {
        "honest": Program(ns=REFERENCE_NS, role="reference"),
        "twin": Program(ns=TWIN_NS),
        "wrong": Program("one_more_output"),
        "later": Program("wrong_later"),
    }
    return Suite(tmp_path, members, rules=RULES).write()


def _duet(suite: Suite, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--benches", str(suite.root / "benches")])


def _spec(suite: Suite) -> GroupSpec:
    result = _duet(suite, "plan", "--into", str(suite.root / "plan"))
    assert 0 == result.exit_code, result.output
    (spec,) = read_specs((suite.root / "plan").iterdir())
    return spec


def _timeless(record: GroupRecord) -> bytes:
    """Return `record` as JSON without the time it took."""
    return msgspec.json.encode(msgspec.structs.replace(record, elapsed_ns=0), order="deterministic")


@pytest.mark.parametrize("mode", [DIRECT, PAIRED], ids=lambda mode: mode.name)
def test_measuring_in_another_process_gives_the_record_of_one_session(suite: Suite, mode: Mode) -> None:
    spec, benches, cache = _spec(suite), suite.root / "benches", suite.root / "cache"
    names = [member.name for member in spec.members]
    unobserved = dataclasses.replace(mode, observed=False)
    together = run_group(bind(spec, benches, cache), selected=names, timed=True, mode=unobserved, rng=random.Random(7))

    path = validate(spec, names, unobserved, benches, cache).write(suite.root / "validated")
    command = [sys.executable, "-c", ELSEWHERE, str(path), str(benches), str(cache), mode.name]
    apart = subprocess.run(command, capture_output=True, check=True).stdout

    assert _timeless(together) == _timeless(msgspec.json.decode(apart, type=GroupRecord))
    statuses = {member.name: member.status for member in together.members}
    assert {"honest": "ok", "twin": "ok", "wrong": "failed", "later": "failed"} == statuses
    assert all(member.cells for member in together.members if member.status == "ok")


def test_the_phases_one_by_one_save_a_run_like_a_session(suite: Suite) -> None:
    root = suite.root
    plan = _duet(suite, "plan", "--json")
    (root / "plan.json").write_text(plan.stdout)

    checked = _duet(suite, "validate", str(root / "plan.json"), "--into", str(root / "validated"))
    measured = _duet(suite, "measure", str(root / "validated"), "--into", str(root / "measured"))
    analysed = CliRunner().invoke(main, ["analyse", str(root / "measured"), "--into", str(root / "results")])

    assert (1, 1, 0) == (checked.exit_code, measured.exit_code, analysed.exit_code), analysed.output
    assert "wrong: failed: parity with honest failed" in checked.stderr
    assert "1 faster" in analysed.stdout
    run = suite.saved()
    assert ["ok", "ok", "failed", "failed"] == [member.status for member in run.groups[0].members]
    assert {"twin": "faster"} == {each.member: each.verdict for each in run.comparisons if each.ratio}
    assert 0 == CliRunner().invoke(main, ["report", *map(str, root.glob("results/*/2*.json"))]).exit_code


def test_a_plan_prints_the_specs_derived_from_each_group(suite: Suite) -> None:
    (planned,) = json.loads(_duet(suite, "plan", "--json").stdout)
    rows = [planned["spec"]["data"]["params"]["rows"], planned["derived"]["smaller"]["data"]["params"]["rows"]]
    assert [40, 5] == rows
    (effect,) = planned["derived"]["effects"]
    assert {2000.0} == {member["params"]["alpha"] for member in effect["members"]}


def test_planning_imports_nothing_of_a_task(pytester, tmp_path: Path) -> None:
    suite = Suite(tmp_path, {"honest": Python(role="reference"), "twin": Python()}).write()
    for file in ("data.py", "quality.py", "impl_honest.py"):
        (suite.root / "benches" / "tiny" / file).write_text("raise SystemExit('imported')\n")
    assert 0 == _duet(suite, "plan", "--json").exit_code
    assert 0 == suite.run("--duet-plan").returncode


def test_each_phase_names_the_command_of_the_next(suite: Suite) -> None:
    root = suite.root
    planned = _duet(suite, "plan", "--into", str(root / "plan"))
    checked = _duet(suite, "validate", str(root / "plan"), "--into", str(root / "validated"))
    measured = _duet(suite, "measure", str(root / "validated"), "--into", str(root / "measured"))
    analysed = CliRunner().invoke(main, ["analyse", str(root / "measured"), "--into", str(root / "results")])

    assert f"next: duet validate {root / 'plan'} --into DIR" in planned.stderr
    assert f"next: duet measure {root / 'validated'} --into DIR" in checked.stderr
    assert f"next: duet analyse {root / 'measured'}" in measured.stderr
    (saved,) = root.glob("results/*/2*.json")
    assert f"next: duet report {saved}" in analysed.stderr


def test_an_empty_plan_is_a_usage_error(suite: Suite) -> None:
    result = _duet(suite, "plan", "-k", "nothing")
    assert (2, True) == (result.exit_code, "no group of" in result.output)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_an_edited_validation_is_refused(suite: Suite) -> None:
    spec = _spec(suite)
    path = validate(spec, ["honest"], DIRECT, suite.root / "benches", suite.root / "cache").write(suite.root / "v")
    path.write_bytes(path.read_bytes().replace(b'"status":"ok"', b'"status":"oK"'))
    result = _duet(suite, "measure", str(path), "--into", str(suite.root / "m"))
    assert (14, True) == (result.exit_code, "changed after it was" in result.output), result.output


def test_replaced_outputs_beside_a_validation_are_refused(suite: Suite) -> None:
    spec, root = _spec(suite), suite.root
    path = validate(spec, ["honest"], DIRECT, root / "benches", root / "cache").write(root / "v")
    (outputs,) = (root / "v").glob("*.npz")
    outputs.write_bytes(b"PK\x03\x04")
    result = _duet(suite, "measure", str(path), "--into", str(root / "m"))
    assert (14, True) == (result.exit_code, "holds no arrays" in result.output), result.output


def test_a_worker_that_changed_after_validation_is_not_timed(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, root = _spec(suite), suite.root
    path = validate(spec, ["honest", "twin"], DIRECT, root / "benches", root / "cache").write(root / "v")
    monkeypatch.setenv("SCRIPTED_SOURCES", "1" * 64)
    result = _duet(suite, "measure", str(path), "--into", str(root / "m"))
    assert 1 == result.exit_code, result.output
    (run,) = (store.load(each) for each in (root / "m").iterdir())
    assert "it is no longer what was checked" in run.groups[0].members[0].reason


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("validate", "{root}/benches/profiles.toml", "--into", "{root}/v"), "is no plan of this version"),
        (("validate", "{root}/nowhere.json", "--into", "{root}/v"), "there is no such file"),
        (("measure", "{root}/benches", "--into", "{root}/m"), "holds no file *.validation.json"),
        (("analyse", "{root}/benches"), "holds no file *.run.json"),
    ],
)
def test_files_of_the_wrong_kind_are_refused_with_the_remedy(
    suite: Suite, arguments: tuple[str, ...], message: str
) -> None:
    result = CliRunner().invoke(main, [each.format(root=suite.root) for each in arguments])
    assert (14, True) == (result.exit_code, message in result.output), result.output


def test_runs_of_one_group_measured_twice_are_not_pooled(suite: Suite) -> None:
    spec, root = _spec(suite), suite.root
    validate(spec, ["honest", "twin"], DIRECT, root / "benches", root / "cache").write(root / "v")
    for folder in ("one", "two"):
        assert 0 == _duet(suite, "measure", str(root / "v"), "--into", str(root / folder)).exit_code
    result = CliRunner().invoke(main, ["analyse", str(root / "one"), str(root / "two"), "--into", str(root / "r")])
    assert (14, True) == (result.exit_code, "is in 2 of the runs" in result.output), result.output
