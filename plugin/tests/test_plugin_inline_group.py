"""Inline groups: their inputs by name, the specs of their members, and the check of their results."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pytest_duet.api import ATTRIBUTE, PairDeclaration, compare, worker
from pytest_duet.errors import Refused, SpecError
from pytest_duet.ids import GroupKey
from pytest_duet.plugin.inline_group import Inputs, bind_inline, bind_inputs, inline_spec
from pytest_duet.plugin.items import BenchItem
from pytest_duet.spec.launch import THREAD_VARIABLES
from pytest_duet.spec.schema import Profile
from pytest_duet.validate.parity import CLOSE_ENOUGH, equal_or_close
from pytest_duet.values import NonFinite

from .fakes.functions import add

if TYPE_CHECKING:
    from pytest_duet.binding.bind import BoundGroup

INF, NAN = math.inf, math.nan


def _declare(*members: Any, **options: Any) -> PairDeclaration:
    def bench_add(duet: object) -> None:
        """Stand for a benchmark."""

    return getattr(compare(*members, **options)(bench_add), ATTRIBUTE)


def takes(x, k=2, *, name="a"):
    """Stand for a reference with every kind of parameter."""


def _bind(*args: Any, **kwargs: Any) -> Inputs:
    return bind_inputs(_declare(takes, add), args, kwargs)


def _plan(declaration: PairDeclaration, root: Path, inputs: Inputs | None = None) -> BoundGroup:
    inputs = inputs or bind_inputs(declaration, (1,), {})
    bench_item = BenchItem(("file", "bench_add", "100"), "add", GroupKey("add", "default", "call", "100"), declaration)
    spec = inline_spec(
        bench_item,
        declaration,
        inputs,
        profile="smoke",
        budget=Profile(),
        threads=1,
        device="cpu",
        root=root,
    )
    return bind_inline(spec, declaration, inputs, root, root / "cache")


# --- inputs -----------------------------------------------------------------------------------------------------------


def test_inputs_are_named_after_the_references_parameters_including_defaults() -> None:
    inputs = _bind(np.array([1.0]), name="b")
    assert {"k": 2, "name": "b"} == inputs.params
    assert [1.0] == inputs.arrays["x"].tolist()


def test_positional_and_keyword_inputs_are_the_same() -> None:
    assert _bind(1, 3).digest == _bind(k=3, x=1).digest


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (INF, NonFinite("inf")),
        (np.float64(NAN), NonFinite("nan")),
    ],
)
def test_a_single_number_of_any_library_is_a_parameter(given_: Any, expected: Any) -> None:
    value = _bind(given_).params["x"]
    assert (expected, type(expected)) == (value, type(value))


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (
            (),
            {},
            r"duet\(\.\.\.\): the inputs do not fit takes\(x, k=2, \*, name='a'\): missing a required argument: 'x'",
        ),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"wrong": 1}, "got an unexpected keyword argument 'wrong'"),
        (([1, 2],), {}, "input 'x' is a list; give numbers, strings or numpy arrays of numbers"),
        ((None,), {}, "input 'x' is a NoneType"),
        ((1j,), {}, "input 'x' is a complex"),
        ((np.array(["a"]),), {}, "input 'x' is a ndarray"),
        ((np.array([None]),), {}, "input 'x' is a ndarray"),
        # A worker's whole numbers have 64 bits.
        ((2**70,), {}, "input 'x'"),
    ],
)
def test_inputs_that_cannot_be_sent_are_refused(args: tuple, kwargs: dict, expected: str) -> None:
    with pytest.raises(SpecError, match=expected):
        _bind(*args, **kwargs)


@pytest.mark.parametrize(
    "other",
    [
        _bind(np.array([1.0, 2.0]), 3),
        _bind(np.array([[1.0]]), 3),
        _bind(np.array([1.0], dtype=np.float32), 3),
        _bind(np.array([1.5]), 3),
        _bind(np.array([1.0]), 4),
        _bind(np.array([1.0]), "3"),
        _bind(np.array([1.0]), 3.0),
        _bind(np.array([1.0]), True),
    ],
)
def test_different_inputs_have_different_digests(other: Inputs) -> None:
    assert _bind(np.array([1.0]), 3).digest != other.digest


def test_numbers_do_not_change_the_data_set() -> None:
    one, other = _bind(np.array([1.0]), 3), _bind(np.array([1.0]), 4)
    assert (True, False) == (one.files == other.files, one.digest == other.digest)


# --- plan -------------------------------------------------------------------------------------------------------------


def test_the_first_member_is_the_reference_and_all_get_the_same_parameters(tmp_path: Path) -> None:
    plan = _plan(_declare(add, takes, worker("x", name="rust"), dtype="f32", margin=0.1), tmp_path).spec
    assert ("add", "add/default-call-100", "f32", 0.1) == (plan.reference, plan.id, plan.dtype, plan.margin)
    assert [("add", "reference", "python"), ("takes", "rival", "python"), ("rust", "rival", "rust")] == [
        (each.name, each.role, each.language) for each in plan.members
    ]
    assert [{"n": 1, "m": 1}] * 3 == [dict(each.params) for each in plan.members]


def test_arrays_become_the_data_set(tmp_path: Path) -> None:
    declaration = _declare(takes, add)
    data = _plan(declaration, tmp_path, bind_inputs(declaration, (np.array([1.0, 2.0]),), {})).data_set()
    assert {"x": [1.0, 2.0]} == {name: np.asarray(array).tolist() for name, array in data.arrays.items()}


def test_a_worker_is_found_from_the_root_and_checked_against_its_sources(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "x").touch()
    launch = (
        _plan(_declare(add, worker("bin/x", name="rust", source="crate", build="make x")), tmp_path)
        .spec.members[1]
        .launch
    )
    assert ("process", (str(tmp_path / "bin" / "x"),), "") == (launch.kind, launch.argv, launch.missing)
    assert ((str(tmp_path / "crate"),), "make x") == (launch.sources, launch.build)
    assert dict.fromkeys(THREAD_VARIABLES, "1") == launch.environment


@pytest.mark.parametrize(
    ("build", "remedy"), [("make x", "build it: make x"), ("", "build it first, or correct the path")]
)
def test_a_missing_worker_has_a_reason_with_the_remedy(build: str, remedy: str, tmp_path: Path) -> None:
    launch = _plan(_declare(add, worker("bin/x", name="rust", build=build)), tmp_path).spec.members[1].launch
    assert f"bin/x does not exist; {remedy}" == launch.missing


def test_a_command_without_a_slash_is_looked_up_on_path(tmp_path: Path) -> None:
    launch = _plan(_declare(add, worker(["python3", "x.py"], name="rust")), tmp_path).spec.members[1].launch
    assert (("python3", "x.py"), "") == (launch.argv, launch.missing)


def test_a_function_of_a_module_can_run_in_its_own_process(tmp_path: Path) -> None:
    launch = _plan(_declare(add, takes), tmp_path).spec.members[0].launch
    file = Path(__file__).parent / "fakes" / "functions.py"
    assert "direct" == launch.kind
    assert (sys.executable, "-m", "pytest_duet", "serve", "--callable", f"{file}::add", "--task", "add") == launch.argv


def test_a_nested_function_cannot_run_in_its_own_process_and_has_a_reason(tmp_path: Path) -> None:
    def inner(n: int) -> int:
        return n

    launch = _plan(_declare(add, inner), tmp_path).spec.members[1].launch
    assert ((), True) == (launch.argv, "cannot be imported by file and name; define it at the top" in launch.unserved)


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "other", "passes"),
    [
        (3, 3, True),
        (3, 4, False),
        (2**53, 2**53 + 1, False),
        ([True, False], [True, True], False),
        (1.0, 1.0 + 9e-6, True),
        (1.0, 1.0 + 2e-5, False),
        (0.0, 9e-9, True),
        (0.0, 2e-8, False),
        ([1.0, 1e6], [1.0, 1e6 + 9.0], True),
        ([1.0, 1e6], [1.0 + 1e-4, 1e6], False),
        (INF, INF, True),
        (INF, -INF, False),
        (INF, 1.0, False),
        (1.0, INF, False),
        (NAN, NAN, False),
        (1.0, NAN, False),
        ([], [], True),
    ],
)
def test_results_are_equal_or_close(reference: Any, other: Any, *, passes: bool) -> None:
    assert passes is (equal_or_close(np.array(reference), np.array(other)) <= CLOSE_ENOUGH)


def test_results_further_apart_than_any_float_are_not_close() -> None:
    assert equal_or_close(np.array(1e308), np.array(-1e308)) > CLOSE_ENOUGH


@given(
    hnp.arrays(np.float64, 3, elements=st.floats(-1e9, 1e9)), hnp.arrays(np.float64, 3, elements=st.floats(-1e9, 1e9))
)
def test_close_means_the_same_as_in_numpy(a: np.ndarray, b: np.ndarray) -> None:
    assert bool(np.allclose(b, a)) is (equal_or_close(a, b) <= CLOSE_ENOUGH)


def _user_check(check: Any, tmp_path: Path) -> Any:
    return _plan(_declare(add, takes, check=check), tmp_path).checks["pair"]


def test_a_users_check_gets_plain_numbers_and_whole_arrays(tmp_path: Path) -> None:
    seen: list[Any] = []
    check = _user_check(lambda a, b: seen.append((a, b)), tmp_path)
    assert 0.0 == check(np.array(3), np.array(0.5))
    check(np.array([1]), np.array([2]))
    assert (3, 0.5) == seen[0]
    assert [int, float] == [type(side) for side in seen[0]]
    assert [[1], [2]] == [side.tolist() for side in seen[1]]


@pytest.mark.parametrize("error", [AssertionError("too far"), ValueError("too far")])
def test_any_exception_of_a_users_check_fails_the_result(error: Exception, tmp_path: Path) -> None:
    def same(a: object, b: object) -> None:
        raise error

    with pytest.raises(Refused, match=r"check same refused the result: .*too far"):
        _user_check(same, tmp_path)(np.array(1), np.array(2))


# --- declarations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "options", "error", "message"),
    [
        ((add,), {}, TypeError, "give at least one more member"),
        (
            (worker("x", name="rust"), add),
            {},
            TypeError,
            "the first member is the reference and must be a Python function",
        ),
        ((add, "x"), {}, TypeError, r"'x' is neither a function nor a worker\(...\)"),
        ((add, takes), {"margin": 0.0}, ValueError, "margin 0.0 cannot be used; write a number above 0, such as 0.05"),
        ((add, takes), {"dtype": "f16"}, ValueError, "dtype 'f16' is not known; write 'f32' or 'f64'"),
    ],
)
def test_an_unusable_declaration_is_refused_at_its_line(
    members: tuple, options: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        _declare(*members, **options)


def test_members_are_named_after_functions_and_workers() -> None:
    def LCG(n: int) -> int:  # noqa: N802 - the point of the test
        return n

    assert ["add", "lcg", "rust"] == _declare(add, LCG, worker("x", name="rust")).names()
