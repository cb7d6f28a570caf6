"""Threads are limited through a framework's own setter or its libraries' pools, and restored."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

import pytest
import threadpoolctl

from pytest_duet.workers import threads
from pytest_duet.workers.threads import Threads, blas, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def framework(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A framework with its own thread count, initially 8."""
    module = types.ModuleType("duet_fake_framework")
    module.count = 8  # type: ignore[attr-defined]
    module.get = lambda: module.count  # type: ignore[attr-defined]

    def put(number: int) -> None:
        module.count = number  # type: ignore[attr-defined]

    module.put = put  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


@pytest.fixture
def restored() -> Iterator[None]:
    """Restore the thread pools of this process after a test."""
    with threadpoolctl.threadpool_limits(limits=None):
        yield


def _pools() -> list[int]:
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]


def test_limits_through_a_setter_and_getter_are_restored(framework: types.ModuleType, restored: None) -> None:
    limited = Threads("duet_fake_framework:put", "duet_fake_framework:get")
    assert 8 == limited.in_effect()
    limited.limit(1)
    limited.limit(3)
    assert (3, 3) == (framework.count, limited.in_effect())
    limited.restore()
    assert 8 == framework.count
    framework.count = 5
    limited.restore()
    assert 5 == framework.count


def test_without_a_getter_the_largest_pool_counts(restored: None) -> None:
    import numpy as np

    assert np.ones((2, 2)) @ np.ones(2) is not None
    before = _pools()
    assert before
    limited = Threads()
    limited.limit(1)
    assert (1, {1}) == (limited.in_effect(), set(_pools()))
    limited.restore()
    assert before == _pools()


def test_limiting_twice_restores_the_original_limit(restored: None) -> None:
    before = _pools()
    limited = Threads()
    limited.limit(1)
    limited.limit(2)
    limited.restore()
    assert before == _pools()


def test_without_a_pool_there_is_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_pools", list)
    assert 1 == Threads().in_effect()


def test_without_threadpoolctl_there_is_one_thread_and_no_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads.importlib.util, "find_spec", lambda _: None)
    limited = Threads()
    limited.limit(1)
    limited.restore()
    assert (1, []) == (limited.in_effect(), blas())


def test_blas_libraries_are_listed_with_version_and_threading_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = [
        {"user_api": "blas", "internal_api": "openblas", "version": "0.3.30", "threading_layer": "pthreads"},
        {"user_api": "blas", "internal_api": "mkl", "version": None},
        {"user_api": "openmp", "internal_api": "openmp", "version": "5"},
    ]
    monkeypatch.setattr(threads, "_pools", lambda: pools)
    assert ["openblas 0.3.30 pthreads", "mkl"] == blas()


def test_a_nested_attribute_is_resolved() -> None:
    import os.path

    assert os.path.join is resolve("os:path.join")
