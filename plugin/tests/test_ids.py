"""What identities print as, and that they are read back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_duet.ids import MEMBER_NAME, NAME, CaseId, GroupKey, framework_of, replaced_suffix, variant_of

KEY = GroupKey("cnn", "lenet", "train", "digits")
NAMES = st.from_regex(NAME, fullmatch=True)
MEMBERS = st.from_regex(MEMBER_NAME, fullmatch=True)
DEVICES = st.sampled_from(["cpu", "cuda:0", "cuda:12"])
# pytest may give the parameters of an inline group any text.
GROUPS = st.builds(GroupKey, NAMES, NAMES, NAMES, st.text() | NAMES).map(str)


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (CaseId(str(KEY), "tch"), "cnn/lenet-train-digits/tch"),
        (CaseId(str(KEY), "tch", threads=2), "cnn/lenet-train-digits/tch@threads=2"),
        (CaseId(str(KEY), "tch", device="cuda:0"), "cnn/lenet-train-digits/tch@device=cuda:0"),
        (CaseId(str(KEY), "tch", 2, "cuda:0"), "cnn/lenet-train-digits/tch@threads=2@device=cuda:0"),
        (CaseId("dot", "rust"), "dot/rust"),
    ],
)
def test_a_case_prints_what_is_not_the_default(case: CaseId, text: str) -> None:
    assert text == str(case)
    assert case == CaseId.parse(text)


@given(GROUPS, MEMBERS, st.integers(1, 512), DEVICES)
def test_a_case_is_read_back_from_its_text(group: str, member: str, threads: int, device: str) -> None:
    case = CaseId(group, member, threads, device)
    assert case == CaseId.parse(str(case))


@given(NAMES, GROUPS, MEMBERS)
def test_a_case_knows_its_task(task: str, group: str, member: str) -> None:
    assert task == CaseId(f"{task}/{group}", member).task
    assert task == CaseId(task, member).task


@pytest.mark.parametrize("text", ["", "sleep 1", "bench.py::bench_x", "cnn/lenet/", "a/b@threads=0", "a/b@rows=3"])
def test_the_name_of_another_tool_is_not_a_case(text: str) -> None:
    assert CaseId.parse(text) is None


def test_the_member_follows_the_last_slash() -> None:
    assert CaseId("bench.py/default-call-a/b@seed=3", "rust") == CaseId.parse("bench.py/default-call-a/b@seed=3/rust")


def test_a_group_without_a_workload_prints_its_task_alone() -> None:
    assert str(GroupKey("dot", "default", "call", "")) == "dot"
    assert str(GroupKey("dot", "default", "call", "100-f32")) == "dot/default-call-100-f32"
    assert str(KEY) == "cnn/lenet-train-digits"


@given(NAMES, NAMES, NAMES, NAMES)
def test_a_group_is_read_back_from_the_id_within_its_task(task: str, algorithm: str, phase: str, workload: str) -> None:
    key = GroupKey(task, algorithm, phase, workload)
    assert key == GroupKey.of_task(task, key.local_id)


def test_a_group_travels_as_json() -> None:
    assert KEY == msgspec.json.decode(msgspec.json.encode(KEY), type=GroupKey)


def test_what_is_replaced_ends_the_id_in_its_order() -> None:
    assert replaced_suffix({"model": "0a1b2c3d", "rows": 100, "seed": 3}) == "@model=0a1b2c3d@rows=100@seed=3"
    assert replaced_suffix({}) == ""


@given(st.from_regex(r"[a-z0-9_]+", fullmatch=True), st.from_regex(r"([a-z0-9_]+)?", fullmatch=True))
def test_a_members_name_is_its_framework_and_its_variant(framework: str, variant: str) -> None:
    name = f"{framework}.{variant}" if variant else framework
    assert (framework, variant) == (framework_of(name), variant_of(name))
