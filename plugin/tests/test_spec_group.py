"""A group's spec round-trips through JSON; derived specs change what they should and nothing else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.spec.derived import convergence_steps, planned, smaller, with_param
from pytest_duet.spec.group import (
    CheckpointSpec,
    ConvergenceSpec,
    DataSpec,
    EffectSpec,
    GroupSpec,
    LaunchSpec,
    Limits,
    MemberSpec,
    ModelSpec,
)
from pytest_duet.spec.resolve import group_spec
from pytest_duet.spec.schema import ParityRule, Profile
from pytest_duet.spec.suite import group_keys, load_suite
from pytest_duet.values import to_number

if TYPE_CHECKING:
    from pathlib import Path

NAMES = st.text(min_size=1, max_size=8)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
SCALARS = st.one_of(st.booleans(), INTEGERS, st.floats().map(to_number), NAMES)
PARAMS = st.dictionaries(NAMES, SCALARS, max_size=4)
LIMITS = st.builds(Limits, floor=st.dictionaries(NAMES, NUMBERS, max_size=2))
LAUNCHES = st.builds(
    LaunchSpec,
    kind=st.sampled_from(["direct", "process"]),
    argv=st.lists(NAMES, max_size=3).map(tuple),
    environment=st.dictionaries(NAMES, NAMES, max_size=2),
    modules=st.none() | st.lists(NAMES, max_size=2).map(tuple),
)
MEMBERS = st.builds(
    MemberSpec,
    name=NAMES,
    framework=NAMES,
    variant=NAMES,
    role=st.sampled_from(["reference", "rival", "context"]),
    language=st.sampled_from(["python", "rust"]),
    launch=st.none() | LAUNCHES,
    params=PARAMS,
    quality_params=st.none() | PARAMS,
    parity=st.lists(st.builds(ParityRule, output=NAMES | st.lists(NAMES), tolerance=st.floats(0, 1)), max_size=2).map(
        tuple
    ),
)


def _groups(**parts: Any) -> st.SearchStrategy[GroupSpec]:
    return st.builds(
        GroupSpec,
        id=NAMES,
        members=st.lists(MEMBERS, min_size=1, max_size=3).map(tuple),
        budget=st.builds(Profile, group_seconds=st.floats(0.1, 1e6)),
        data=st.builds(DataSpec, params=PARAMS, seed=INTEGERS, model=st.none() | st.builds(ModelSpec, NAMES, NAMES)),
        margin=st.floats(1e-6, 1.0),
        limits=LIMITS,
        effects=st.lists(st.builds(EffectSpec, NAMES, NUMBERS, INTEGERS | NUMBERS), max_size=2).map(tuple),
        convergence=st.none()
        | st.builds(
            ConvergenceSpec, param=NAMES, values=st.lists(INTEGERS | NUMBERS, max_size=3).map(tuple), limits=LIMITS
        ),
        **parts,
    )


GROUPS = _groups(checkpoint=st.none() | st.builds(CheckpointSpec, NAMES, _groups(checkpoint=st.none())))


@given(GROUPS)
def test_a_spec_round_trips_through_json(spec: GroupSpec) -> None:
    content = spec.to_json()
    read = msgspec.json.decode(content, type=GroupSpec)
    assert spec == read
    assert content == read.to_json()


def test_every_real_spec_round_trips_through_json_and_holds_no_path(project: Path) -> None:
    suite = load_suite(project / "benches")
    specs = [
        group_spec(suite, key, profile, threads=2)
        for name, task in suite.tasks.items()
        for key in group_keys(name, task)
        for profile in suite.profiles
    ]
    assert len(specs) > 100
    for spec in specs:
        content = spec.to_json()
        assert content == msgspec.json.decode(content, type=GroupSpec).to_json()
        assert str(project).encode() not in content


# --- derived specs ------------------------------------------------------------------------------------------------------


def _spec(**changes: Any) -> GroupSpec:
    members = tuple(
        MemberSpec(name, name, "", "rival", "python", params={"n": 16, "alpha": 0.5, **more})
        for name, more in (("a", {}), ("b", {"only_b": 1}))
    )
    fields: dict[str, Any] = {
        "id": "t/x-train-w",
        "task": "t",
        "algorithm": "x",
        "phase": "train",
        "workload": "w",
        "reference": "a",
        "members": members,
        "dtype": "f64",
        "profile": "smoke",
        "budget": Profile(),
        "data": DataSpec(params={"n": 100, "note": "n"}),
    }
    return GroupSpec(**{**fields, **changes})


def test_less_work_divides_the_parameter_by_eight_in_data_and_jobs() -> None:
    less = smaller(_spec(divide="n"))
    assert {"n": 12, "note": "n"} == less.data.params
    assert [2, 2] == [member.params["n"] for member in less.members]
    assert [0.5, 0.5] == [member.params["alpha"] for member in less.members]


@pytest.mark.parametrize(("value", "expected"), [(7, 1), (8, 1), (0.5, 0.5), (True, True), ("n", "n")])
def test_only_integers_are_divided_and_never_below_one(value: object, expected: object) -> None:
    assert expected == smaller(_spec(divide="x", data=DataSpec(params={"x": value}))).data.params["x"]  # type: ignore[dict-item]


def test_an_effect_changes_every_member_that_has_the_parameter() -> None:
    other = with_param(_spec(), "only_b", 10)
    assert [None, 10] == [member.params.get("only_b") for member in other.members]


def test_convergence_has_a_spec_for_each_stop_rule_from_the_loosest() -> None:
    spec = _spec(convergence=ConvergenceSpec("alpha", (1.0, 0.1), gap=0.01))
    assert [1.0, 0.1] == [each.members[0].params["alpha"] for each in convergence_steps(spec)]
    assert () == convergence_steps(_spec())


def test_a_planned_spec_holds_its_derived_specs() -> None:
    training = _spec(phase="train")
    spec = _spec(phase="predict", divide="n", checkpoint=CheckpointSpec("weights.", training))
    derived = planned(spec).derived
    assert (training, smaller(spec), (), ()) == (
        derived.checkpoint,
        derived.smaller,
        derived.effects,
        derived.convergence,
    )
    assert None is planned(_spec()).derived.smaller


# --- limits -------------------------------------------------------------------------------------------------------------


def test_limits_are_not_kept_by_a_missing_metric_or_nan() -> None:
    limits = Limits(floor={"accuracy": 0.9})
    assert limits.kept_by({"accuracy": 0.9})
    assert not limits.kept_by({"accuracy": math.nan})
    assert not limits.kept_by({})
