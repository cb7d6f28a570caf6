"""Spec files are read strictly: an error names the file, the table, the key and the remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import SpecError
from pytest_duet.spec.load import load_frameworks, load_profiles, load_task

if TYPE_CHECKING:
    from pathlib import Path

TASK = """
title = "T"
why = "w"
phases = ["train", "predict"]
dtype = "f64"

[algorithms.linear]
why = "w"

[workloads.small]
why = "w"

[members.sklearn]
role = "reference"

[members."native.gram"]
algorithms = "lin*"
"""


def _task(folder: Path, text: str) -> Path:
    path = folder / "task.toml"
    path.write_text(text)
    return path


def _error(path: Path, load: object = load_task) -> str:
    with pytest.raises(SpecError) as caught:
        load(path)  # type: ignore[operator]
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_a_task_is_loaded(tmp_path: Path) -> None:
    task = load_task(_task(tmp_path, TASK))
    assert "sklearn" == task.reference
    assert ("rival", "lin*", "*") == (
        task.members["native.gram"].role,
        task.members["native.gram"].algorithms,
        task.members["native.gram"].phases,
    )
    assert 0.05 == task.margin


# --- unknown and wrong keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('\n[members.linfa]\nrol = "rival"\n', "[members.linfa] has unknown key 'rol'; did you mean 'role'?"),
        (
            '\n[[parity]]\noutput = "*"\ntolerence = 1.0\n',
            "[parity[0]] has unknown key 'tolerence'; did you mean 'tolerance'?",
        ),
        ('\n[checkpoint]\nphases = "a"\n', "[checkpoint] has unknown key 'phases'; did you mean 'phase'?"),
        (
            "\n[members.linfa]\nzzz = 1\n",
            "[members.linfa] has unknown key 'zzz'; known: against, algorithms, phases, profiles, role, why, workloads",
        ),
    ],
)
def test_an_unknown_key_is_named_with_its_table_and_the_nearest_known_key(
    change: str, expected: str, tmp_path: Path
) -> None:
    assert expected == _error(_task(tmp_path, TASK + change))


def test_an_unknown_key_at_the_top_level_is_named(tmp_path: Path) -> None:
    assert "top level has unknown key 'titel'; did you mean 'title'?" == _error(_task(tmp_path, "titel = 'T'\n" + TASK))


def test_an_unknown_key_of_a_profile_is_named(tmp_path: Path) -> None:
    path = _task(tmp_path, "[smoke]\ngroup_second = 1.0\n")
    assert "[smoke] has unknown key 'group_second'; did you mean 'group_seconds'?" == _error(path, load_profiles)


def test_an_unknown_key_of_a_framework_is_named(tmp_path: Path) -> None:
    path = _task(tmp_path, "[torch]\ntitle = 'x'\nlanguage = 'python'\nmodule = []\n")
    assert "[torch] has unknown key 'module'; did you mean 'modules'?" == _error(path, load_frameworks)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        (TASK.replace('"f64"', '"f16"'), r"\[dtype\]: invalid enum value 'f16'"),
        (TASK.replace('title = "T"\n', ""), "object missing required field `title`"),
        (TASK + "\n[members.linfa]\nrole = 'hero'\n", r"\[members\.\*\.role\]: invalid enum value 'hero'"),
        ("margin = 0\n" + TASK, r"\[margin\]: expected `float` > 0"),
        (TASK + '\n[[parity]]\noutput = "*"\ntolerance = -1\n', r"\[parity\[0\]\.tolerance\]: expected `float` >= 0"),
        (TASK + "\n[[params]]\nset = { x = [1] }\n", r"\[params\[0\]\.set\.\*\]: expected"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(text: str, pattern: str, tmp_path: Path) -> None:
    assert re.match(pattern, _error(_task(tmp_path, text)))


def test_a_missing_file_error_has_a_remedy(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory); create it or name another" == _error(tmp_path / "task.toml")


@pytest.mark.parametrize("content", [b"title = ", b"\xff = 1"], ids=["broken", "no UTF-8"])
def test_a_file_that_is_not_toml_is_rejected(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_bytes(content)
    assert _error(path).startswith("is not TOML: ")


# --- names and references ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TASK.replace("algorithms.linear", 'algorithms."Linear"'), "algorithm name 'Linear'"),
        (TASK.replace("algorithms.linear", 'algorithms."line.ar"'), "algorithm name 'line.ar'"),
        (TASK.replace("workloads.small", 'workloads."sm-all"'), "workload name 'sm-all'"),
        (TASK.replace('"native.gram"', '"native.gram.x"'), "member name 'native.gram.x'"),
        # Dashes separate the parts of an id.
        (TASK.replace('"predict"', '"pre-dict"'), "phase name 'pre-dict'"),
    ],
)
def test_a_name_that_ids_cannot_hold_is_rejected(text: str, expected: str, tmp_path: Path) -> None:
    assert f"{expected} is not usable; write lower-case letters, digits and _" == _error(_task(tmp_path, text))


def test_a_framework_has_no_dot_in_its_name(tmp_path: Path) -> None:
    path = _task(tmp_path, "['a.b']\ntitle = 'x'\nlanguage = 'rust'\n")
    assert "framework name 'a.b' is not usable" in _error(path, load_frameworks)


def test_a_profile_has_no_dash_in_its_name(tmp_path: Path) -> None:
    assert "profile name 'a-b' is not usable" in _error(_task(tmp_path, "[a-b]\n"), load_profiles)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TASK.replace('role = "reference"', ""), "none"),
        (TASK.replace('algorithms = "lin*"', 'role = "reference"'), "sklearn, native.gram"),
    ],
)
def test_exactly_one_member_must_be_the_reference(text: str, found: str, tmp_path: Path) -> None:
    assert f"exactly one member must have role = 'reference'; found {found}" == _error(_task(tmp_path, text))


def test_the_reference_must_be_in_every_group(tmp_path: Path) -> None:
    text = TASK.replace('role = "reference"', 'role = "reference"\nphases = "train"')
    assert "sklearn" in _error(_task(tmp_path, text))


# --- selectors --------------------------------------------------------------------------------------------------------

RULES = {
    "params": "set = {}",
    "quality": "floor = {}",
    "parity": 'output = "*"',
    "unsound": 'reason = "r"\nreproducer = "r"',
}


@pytest.mark.parametrize("table", RULES)
@pytest.mark.parametrize(
    ("selector", "wrong", "hint"),
    [
        ("algorithm", "lineal", "did you mean 'linear'?"),
        ("phase", "trian", "did you mean 'train'?"),
        ("workload", "smal", "did you mean 'small'?"),
        ("member", "sklaern", "did you mean 'sklearn'?"),
    ],
)
def test_a_selector_that_matches_nothing_is_rejected(
    table: str, selector: str, wrong: str, hint: str, tmp_path: Path
) -> None:
    text = f'{TASK}\n[[{table}]]\n{RULES[table]}\n[[{table}]]\n{selector} = "{wrong}"\n{RULES[table]}\n'
    assert f"[{table}[1]] {selector} {wrong!r} matches nothing; {hint}" == _error(_task(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "wrong"), [("algorithms", "lineal"), ("phases", "trian"), ("workloads", "smal"), ("phases", "x*")]
)
def test_a_member_of_an_unknown_part_is_rejected(key: str, wrong: str, tmp_path: Path) -> None:
    text = f'{TASK}\n[members.linfa]\n{key} = ["{wrong}"]\n'
    assert f"[members.linfa] {key} {wrong!r} matches nothing" in _error(_task(tmp_path, text))


@pytest.mark.parametrize("key", ["phase", "trained_by"])
def test_a_checkpoint_of_an_unknown_phase_is_rejected(key: str, tmp_path: Path) -> None:
    entries = {"phase": "predict", "trained_by": "train", "prefix": "w."} | {key: "tarin"}
    lines = "\n".join(f'{name} = "{value}"' for name, value in entries.items())
    message = _error(_task(tmp_path, f"{TASK}\n[checkpoint]\n{lines}\n"))
    assert f"[checkpoint] {key} 'tarin' matches nothing; did you mean 'train'?" == message


@pytest.mark.parametrize("goal", ["", "gap = 0.1\nfloor = { accuracy = 0.9 }"])
def test_a_convergence_rule_has_exactly_one_definition_of_a_good_solution(goal: str, tmp_path: Path) -> None:
    message = _error(_task(tmp_path, f'{TASK}\n[[convergence]]\nparam = "tol"\nvalues = [0.1]\n{goal}\n'))
    assert "[convergence[0]]: give either gap, or limits by floor or ceiling" in message


def test_the_phase_that_trains_a_checkpoint_cannot_need_it(tmp_path: Path) -> None:
    lines = 'phase = ["predict", "train"]\ntrained_by = "train"\nprefix = "w."'
    message = _error(_task(tmp_path, f"{TASK}\n[checkpoint]\n{lines}\n"))
    assert "[checkpoint] trained_by needs the checkpoint itself; name a phase that does not" == message


def test_each_pattern_of_a_list_must_match(tmp_path: Path) -> None:
    text = f'{TASK}\n[[params]]\nphase = ["train", "predicted"]\nset = {{}}\n'
    assert "[params[0]] phase 'predicted' matches nothing; did you mean 'predict'?" == _error(_task(tmp_path, text))
