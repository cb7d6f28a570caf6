"""Spec files enter by one strict door: what is wrong is named with its file, table, key and remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_duet.errors import SpecError
from pytest_duet.spec.schema import load_frameworks, load_profiles, load_task

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


def _refusal(path: Path, load: object = load_task) -> str:
    with pytest.raises(SpecError) as caught:
        load(path)  # type: ignore[operator]
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def test_a_whole_task_is_read(tmp_path: Path) -> None:
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
def test_an_unknown_key_is_named_with_its_table_and_the_nearest_known(
    change: str, expected: str, tmp_path: Path
) -> None:
    assert expected == _refusal(_task(tmp_path, TASK + change))


def test_an_unknown_key_at_the_top_is_said_to_be_there(tmp_path: Path) -> None:
    assert "top level has unknown key 'titel'; did you mean 'title'?" == _refusal(
        _task(tmp_path, "titel = 'T'\n" + TASK)
    )


def test_an_unknown_key_of_a_profile_is_named(tmp_path: Path) -> None:
    path = _task(tmp_path, "[smoke]\ngroup_second = 1.0\n")
    assert "[smoke] has unknown key 'group_second'; did you mean 'group_seconds'?" == _refusal(path, load_profiles)


def test_an_unknown_key_of_a_framework_is_named(tmp_path: Path) -> None:
    path = _task(tmp_path, "[torch]\ntitle = 'x'\nlanguage = 'python'\nmodule = []\n")
    assert "[torch] has unknown key 'module'; did you mean 'modules'?" == _refusal(path, load_frameworks)


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
def test_a_wrong_value_is_named_with_its_place(text: str, pattern: str, tmp_path: Path) -> None:
    assert re.match(pattern, _refusal(_task(tmp_path, text)))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    assert "cannot be read (No such file or directory); create it or name another" == _refusal(tmp_path / "task.toml")


@pytest.mark.parametrize("content", [b"title = ", b"\xff = 1"], ids=["broken", "no UTF-8"])
def test_what_is_not_toml_is_said_not_to_be(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_bytes(content)
    assert _refusal(path).startswith("is not TOML: ")


# --- names and references ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TASK.replace("algorithms.linear", 'algorithms."Linear"'), "algorithm name 'Linear'"),
        (TASK.replace("algorithms.linear", 'algorithms."line.ar"'), "algorithm name 'line.ar'"),
        (TASK.replace("workloads.small", 'workloads."sm-all"'), "workload name 'sm-all'"),
        (TASK.replace('"native.gram"', '"native.gram.x"'), "member name 'native.gram.x'"),
        # An item's id holds its parts with dashes between, and is taken apart at them.
        (TASK.replace('"predict"', '"pre-dict"'), "phase name 'pre-dict'"),
    ],
)
def test_a_name_that_ids_cannot_hold_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    assert f"{expected} is not usable; write lower-case letters, digits and _" == _refusal(_task(tmp_path, text))


def test_a_framework_has_no_dot_in_its_name(tmp_path: Path) -> None:
    path = _task(tmp_path, "['a.b']\ntitle = 'x'\nlanguage = 'rust'\n")
    assert "framework name 'a.b' is not usable" in _refusal(path, load_frameworks)


def test_a_profile_has_no_dash_in_its_name(tmp_path: Path) -> None:
    assert "profile name 'a-b' is not usable" in _refusal(_task(tmp_path, "[a-b]\n"), load_profiles)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TASK.replace('role = "reference"', ""), "none"),
        (TASK.replace('algorithms = "lin*"', 'role = "reference"'), "sklearn, native.gram"),
    ],
)
def test_there_is_exactly_one_reference(text: str, found: str, tmp_path: Path) -> None:
    assert f"exactly one member must have role = 'reference'; found {found}" == _refusal(_task(tmp_path, text))


def test_the_reference_stands_in_every_group_that_has_members(tmp_path: Path) -> None:
    text = TASK.replace('role = "reference"', 'role = "reference"\nphases = "train"')
    assert "sklearn" in _refusal(_task(tmp_path, text))


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
def test_a_selector_that_names_nothing_is_refused(
    table: str, selector: str, wrong: str, hint: str, tmp_path: Path
) -> None:
    text = f'{TASK}\n[[{table}]]\n{RULES[table]}\n[[{table}]]\n{selector} = "{wrong}"\n{RULES[table]}\n'
    assert f"[{table}[1]] {selector} {wrong!r} names nothing; {hint}" == _refusal(_task(tmp_path, text))


@pytest.mark.parametrize(
    ("key", "wrong"), [("algorithms", "lineal"), ("phases", "trian"), ("workloads", "smal"), ("phases", "x*")]
)
def test_a_member_that_stands_nowhere_is_refused(key: str, wrong: str, tmp_path: Path) -> None:
    text = f'{TASK}\n[members.linfa]\n{key} = ["{wrong}"]\n'
    assert f"[members.linfa] {key} {wrong!r} names nothing" in _refusal(_task(tmp_path, text))


@pytest.mark.parametrize("key", ["phase", "trained_by"])
def test_a_checkpoint_of_no_phase_is_refused(key: str, tmp_path: Path) -> None:
    entries = {"phase": "predict", "trained_by": "train", "prefix": "w."} | {key: "tarin"}
    lines = "\n".join(f'{name} = "{value}"' for name, value in entries.items())
    refusal = _refusal(_task(tmp_path, f"{TASK}\n[checkpoint]\n{lines}\n"))
    assert f"[checkpoint] {key} 'tarin' names nothing; did you mean 'train'?" == refusal


@pytest.mark.parametrize("goal", ["", "gap = 0.1\nfloor = { accuracy = 0.9 }"])
def test_a_way_to_a_solution_says_in_one_way_when_it_is_good_enough(goal: str, tmp_path: Path) -> None:
    refusal = _refusal(_task(tmp_path, f'{TASK}\n[[convergence]]\nparam = "tol"\nvalues = [0.1]\n{goal}\n'))
    assert "[convergence[0]]: say either how near the best is near enough, by gap" in refusal


def test_what_trains_a_checkpoint_cannot_need_it(tmp_path: Path) -> None:
    lines = 'phase = ["predict", "train"]\ntrained_by = "train"\nprefix = "w."'
    refusal = _refusal(_task(tmp_path, f"{TASK}\n[checkpoint]\n{lines}\n"))
    assert "[checkpoint] trained_by needs what it should train; name a phase that does not" == refusal


def test_one_wrong_name_in_a_list_is_enough(tmp_path: Path) -> None:
    text = f'{TASK}\n[[params]]\nphase = ["train", "predicted"]\nset = {{}}\n'
    assert "[params[0]] phase 'predicted' names nothing; did you mean 'predict'?" == _refusal(_task(tmp_path, text))
