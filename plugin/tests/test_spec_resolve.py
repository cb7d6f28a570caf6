"""Spec files are resolved into groups: their members, and the parameters of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.binding.bind import bind
from pytest_duet.errors import SpecError
from pytest_duet.ids import GroupKey
from pytest_duet.spec.launch import launch_spec
from pytest_duet.spec.resolve import group_spec
from pytest_duet.spec.schema import ParamsRule
from pytest_duet.spec.suite import Suite, applying, group_keys, load_suite, member_names

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.spec.group import GroupSpec

FRAMEWORKS = """
[sklearn]
title = "scikit-learn"
language = "python"
modules = ["json"]

[absent]
title = "Absent"
language = "python"

[native]
title = "native"
language = "rust"

[odd]
title = "odd"
language = "rust"
"""
PROFILES = "[smoke]\n[standard]\n"
TASK = """
title = "T"
why = "w"
phases = ["train", "predict"]
dtype = "f64"
margin = 0.1

[algorithms.linear]
why = "w"
[algorithms.ridge]
why = "w"

[workloads.small]
why = "w"
seed = 7
data = { rows = 10, columns = 2 }
[workloads.small.profiles]
standard = { rows = 1000 }

[members.sklearn]
role = "reference"
[members.absent]
[members.native]
[members."native.gram"]
algorithms = "linear"
phases = "train"
[members.odd]
role = "context"

[[params]]
algorithm = "ridge"
set = { alpha = 1.0, solver = "a" }
[[params]]
algorithm = "ridge"
profile = "standard"
set = { alpha = 2.0 }
[[params]]
algorithm = "ridge"
member = "native*"
set = { solver = "b" }

[[quality]]
floor = { r2 = 0.1, f1 = 0.5 }
[[quality]]
workload = "small"
floor = { r2 = 0.2 }
ceiling = { rmse = 9.0 }
[[quality]]
algorithm = "ridge"
phase = "train"
params = { alpha = 5.0 }

[[parity]]
output = "*"
tolerance = 1e-9
[[parity]]
member = "native"
output = "coef"
tolerance = 1e-3

[[unsound]]
algorithm = "ridge"
member = "odd"
reason = "never stops"
reproducer = "odd.rs::never"
"""
DATA = "def make(params, rng):\n    return {'x': rng.random(params['rows'])}\n"


def _write(root: Path, **files: str) -> Path:
    benches = root / "benches"
    (benches / "linear").mkdir(parents=True)
    texts = {"frameworks": FRAMEWORKS, "profiles": PROFILES, "task": TASK, "data": DATA} | files
    for name, text in texts.items():
        place = {"frameworks": "frameworks.toml", "profiles": "profiles.toml", "task": "linear/task.toml"}
        (benches / place.get(name, f"linear/{name}.py")).write_text(text)
    return benches


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    return load_suite(_write(tmp_path_factory.mktemp("suite")))


def _group(suite: Suite, algorithm: str = "ridge", phase: str = "train", profile: str = "smoke") -> GroupSpec:
    return group_spec(suite, GroupKey("linear", algorithm, phase, "small"), profile)


def _bound(suite: Suite, algorithm: str = "ridge", phase: str = "train", profile: str = "smoke") -> BoundGroup:
    return bind(_group(suite, algorithm, phase, profile), suite.benches, suite.project / "cache")


# --- groups -----------------------------------------------------------------------------------------------------------


def test_groups_are_all_combinations_in_the_order_of_the_spec(suite: Suite) -> None:
    expected = ["linear-train-small", "linear-predict-small", "ridge-train-small", "ridge-predict-small"]
    assert expected == [key.local_id for key in group_keys("linear", suite.tasks["linear"])]


def test_a_variant_is_only_in_the_groups_that_it_selects(suite: Suite) -> None:
    task = suite.tasks["linear"]
    everywhere = ["sklearn", "absent", "native", "odd"]
    assert ["sklearn", "absent", "native", "native.gram", "odd"] == member_names(
        task, "linear", "train", "small", "smoke"
    )
    assert everywhere == member_names(task, "linear", "predict", "small", "smoke")
    assert everywhere == member_names(task, "ridge", "train", "small", "smoke")


def test_a_group_spec_has_its_id_and_budget(suite: Suite) -> None:
    group = _group(suite)
    assert ("linear/ridge-train-small", "sklearn", 7, 0.1, "f64", "smoke") == (
        group.id,
        group.reference,
        group.seed,
        group.margin,
        group.dtype,
        group.profile,
    )
    assert suite.profiles["smoke"] == group.budget


def test_roles_languages_and_variants_come_from_the_spec(suite: Suite) -> None:
    group = _group(suite, "linear")
    expected = {
        "sklearn": ("sklearn", "", "reference", "python"),
        "absent": ("absent", "", "rival", "python"),
        "native": ("native", "", "rival", "rust"),
        "native.gram": ("native", "gram", "rival", "rust"),
        "odd": ("odd", "", "context", "rust"),
    }
    assert expected == {each.name: (each.framework, each.variant, each.role, each.language) for each in group.members}


# --- rules ------------------------------------------------------------------------------------------------------------


def test_later_parameter_rules_override_earlier_ones_for_each_member(suite: Suite) -> None:
    group = _group(suite)
    assert {"alpha": 1.0, "solver": "a"} == group.member("sklearn").params
    assert {"alpha": 1.0, "solver": "b"} == group.member("native").params
    assert {} == _group(suite, "linear").member("sklearn").params


def test_a_profile_changes_parameters(suite: Suite) -> None:
    assert {"alpha": 2.0, "solver": "b"} == _group(suite, profile="standard").member("native").params


def test_quality_parameters_extend_those_of_the_job(suite: Suite) -> None:
    assert {"alpha": 5.0, "solver": "b"} == _group(suite).member("native").quality_params
    assert None is _group(suite, phase="predict").member("native").quality_params


def test_later_limits_override_earlier_ones_by_metric(suite: Suite) -> None:
    limits = _group(suite).limits
    assert ({"r2": 0.2, "f1": 0.5}, {"rmse": 9.0}) == (limits.floor, limits.ceiling)


def test_parity_rules_keep_their_order(suite: Suite) -> None:
    group = _group(suite)
    assert [1e-9, 1e-3] == [rule.tolerance for rule in group.member("native").parity]
    assert [1e-9] == [rule.tolerance for rule in group.member("sklearn").parity]


def test_an_unsound_member_has_its_reason_and_reproducer(suite: Suite) -> None:
    odd = _group(suite).member("odd")
    assert ("never stops", "odd.rs::never") == (odd.unsound, odd.reproducer)
    assert "" == _group(suite, "linear").member("odd").unsound


_NAMES = st.sampled_from(["*", "a", "b", "c*", "cd", ["a", "cd"], []])


@given(
    st.lists(st.builds(ParamsRule, set=st.just({}), algorithm=_NAMES, member=_NAMES, profile=_NAMES), max_size=6),
    st.sampled_from(["a", "b", "cd"]),
    st.sampled_from(["a", "b", "cd"]),
    st.sampled_from(["a", "b", "cd"]),
)
def test_the_rules_of_a_case_are_those_whose_selectors_all_match_it(
    rules: list[ParamsRule], algorithm: str, member: str, profile: str
) -> None:
    def names(selector: str | list[str], name: str) -> bool:
        each = [selector] if isinstance(selector, str) else selector
        return any(word in {"*", name} or (word == "c*" and name == "cd") for word in each)

    expected = [
        rule
        for rule in rules
        if names(rule.algorithm, algorithm) and names(rule.member, member) and names(rule.profile, profile)
    ]
    assert expected == applying(rules, GroupKey("t", algorithm, "p", "w"), member, profile)


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), st.integers()), max_size=5))
def test_the_later_of_two_rules_for_one_parameter_wins(settings: list[dict[str, int]]) -> None:
    rules = [ParamsRule(set=each) for each in settings]  # type: ignore[arg-type]
    folded: dict[str, object] = {}
    for rule in applying(rules, GroupKey("t", "a", "p", "w"), "m", "smoke"):
        folded.update(rule.set)
    for name in "xyz":
        values = [each[name] for each in settings if name in each]
        assert values[-1:] == [folded[name] for _ in range(name in folded)]


def test_a_member_is_launched_as_its_framework_with_the_threads_of_the_group(suite: Suite) -> None:
    spec = group_spec(suite, GroupKey("linear", "ridge", "train", "small"), "smoke", threads=3)
    group = bind(spec, suite.benches, suite.project / "data")
    assert launch_spec(suite, "native", threads=3) == group.launches["native"]


# --- data -------------------------------------------------------------------------------------------------------------


def test_the_recipe_gets_the_parameters_of_the_profile_and_the_seed_of_the_workload(suite: Suite) -> None:
    smoke, standard = _bound(suite).data_set(), _bound(suite, profile="standard").data_set()
    assert (10,) == smoke.arrays["x"].shape
    assert (1000,) == standard.arrays["x"].shape
    assert smoke.digest == _bound(suite, "linear", "predict").data_set().digest
    assert smoke.digest != standard.digest


def test_a_changed_recipe_has_another_digest(tmp_path: Path) -> None:
    suite = load_suite(_write(tmp_path))
    before = _bound(suite).data_set().digest
    (suite.benches / "linear" / "data.py").write_text(DATA + "# changed\n")
    assert before != _bound(suite).data_set().digest


def test_a_task_without_a_recipe_is_a_spec_error(tmp_path: Path) -> None:
    benches = _write(tmp_path)
    (benches / "linear" / "data.py").unlink()
    with pytest.raises(SpecError, match=r"data\.py does not exist; create it or drop what names it"):
        _bound(load_suite(benches))


# --- across files -----------------------------------------------------------------------------------------------------


def test_a_member_of_an_unknown_framework_is_rejected(tmp_path: Path) -> None:
    benches = _write(tmp_path, task=TASK.replace("[members.odd]", "[members.od]\n[members.odd]"))
    with pytest.raises(SpecError, match=r"\[members\.od\] names framework 'od'; did you mean 'odd'\?") as caught:
        load_suite(benches)
    assert str(caught.value).startswith(f"{benches / 'linear' / 'task.toml'}: ")


def test_a_workload_for_an_unknown_profile_is_rejected(tmp_path: Path) -> None:
    benches = _write(tmp_path, task=TASK.replace("standard = { rows", "standart = { rows"))
    with pytest.raises(SpecError, match=r"\[workloads\.small\.profiles\] names profile 'standart'; did you mean"):
        load_suite(benches)


def test_a_rule_for_an_unknown_profile_is_rejected(tmp_path: Path) -> None:
    benches = _write(tmp_path, task=TASK.replace('profile = "standard"', 'profile = "standart"'))
    with pytest.raises(SpecError, match="'standart'"):
        load_suite(benches)


# --- the real task folders ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unbuilt(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """The real spec files, in a project where nothing is built."""
    root = tmp_path_factory.mktemp("unbuilt")
    (root / "benches").symlink_to(project / "benches")
    return load_suite(root / "benches")


def test_every_real_group_has_its_reference_and_another_member(unbuilt: Suite) -> None:
    for name, task in unbuilt.tasks.items():
        keys = group_keys(name, task)
        assert keys
        for key in keys:
            members = member_names(task, key.algorithm, key.phase, key.workload, "smoke")
            assert task.reference == members[0]
            assert len(members) > 1


def test_every_unbuilt_real_rust_worker_names_the_build_command(unbuilt: Suite) -> None:
    task = unbuilt.tasks["regression"]
    key = group_keys("regression", task)[0]
    group = group_spec(unbuilt, key, "smoke")
    rust = {member.framework for member in group.members if member.language == "rust"}
    assert rust
    for name in rust:
        missing = launch_spec(unbuilt, name, threads=1).missing
        assert f"target/release/duet-{name} is not built; build it: duet build {name}" == missing


def test_the_real_ridge_is_unsound_in_linfa_and_gets_its_penalty(unbuilt: Suite) -> None:
    key = GroupKey("regression", "ridge", "train", "synthetic")
    group = group_spec(unbuilt, key, "smoke")
    assert "" != group.member("linfa").unsound
    assert "" != group.member("linfa").reproducer
    assert "" == group.member("native").unsound
    assert {"alpha": 10.0} == group.member("native").params
    assert "5000×50" == bind(group, unbuilt.benches, unbuilt.project / "cache").workload_size


def test_the_real_prediction_starts_from_the_weights_that_the_reference_trained(unbuilt: Suite) -> None:
    key = GroupKey("cnn", "lenet", "predict", "digits")
    group = group_spec(unbuilt, key, "smoke")
    assert group.checkpoint is not None
    training = group.checkpoint.training
    assert ("cnn/lenet-train-digits", "weights.") == (training.id, group.checkpoint.prefix)
    assert None is training.checkpoint
