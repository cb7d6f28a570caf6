"""Decide how a framework's workers are launched on this machine, or why they cannot be."""

from __future__ import annotations

import inspect
import os
import sys
import tomllib
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from pytest_duet.spec.group import LaunchSpec
from pytest_duet.spec.imports import absolute_imports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_duet.spec.suite import Suite

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
"""The variables that numeric libraries of both languages read when they start."""


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that limit numeric libraries to `threads` threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def launch_spec(suite: Suite, name: str, *, threads: int) -> LaunchSpec:
    """Return how framework `name` is launched here; its `missing` says why it cannot be."""
    framework, benches, project = suite.frameworks[name], suite.benches, suite.project
    fill = {"python": sys.executable, "root": str(project), "threads": str(threads)}
    environment = thread_environment(threads)
    environment.update({key: value.format(**fill) for key, value in framework.environment.items()})
    command = tuple(part.format(**fill) for part in framework.command)
    missing = ""
    modules = framework.modules if framework.language == "python" else []
    if absent := next((module for module in modules if find_spec(module) is None), ""):
        remedy = f"; pip install 'pytest-duet[{framework.extra}]'" if framework.extra else ""
        missing = f"{framework.title} is not installed (no module {absent!r}){remedy}"
    if command:
        return LaunchSpec(kind="process", argv=command, environment=environment, missing=missing)
    if framework.language == "python":
        modules = [*framework.modules, *absolute_imports(benches.glob(f"*/impl_{name}.py"))]
        # With -P, the folder that this process was started in is not importable.
        serve = (sys.executable, "-P", "-m", "pytest_duet", "serve", "--benches", str(benches), "--framework", name)
        return LaunchSpec("direct", serve, environment, missing=missing, modules=tuple(dict.fromkeys(modules)))
    crates = project / "rust_crates"
    binary = project / "target" / "release" / f"duet-{name}"
    build = f"duet build {name}"
    return LaunchSpec(
        kind="process",
        argv=(str(binary),),
        environment=environment,
        missing="" if binary.is_file() else f"target/release/duet-{name} is not built; build it: {build}",
        sources=tuple(map(str, _crates(crates, name))),
        lock=str(crates / "Cargo.lock"),
        build=build,
    )


def function_launch(function: Callable[..., object], task: str, *, threads: int = 1) -> LaunchSpec:
    """Return how a user's Python function is launched: called in this process, or served by another process as `task`."""
    named = function_name(function)
    name = getattr(function, "__qualname__", "<")
    # pytest may have added folders to sys.path.
    environment = {**thread_environment(threads), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if named.startswith("None::") or "<" in name:
        unserved = f"{name} cannot be imported by file and name; define it at the top of a module"
        return LaunchSpec("direct", environment=environment, unserved=unserved)
    argv = (sys.executable, "-m", "pytest_duet", "serve", "--callable", named, "--task", task)
    return LaunchSpec("direct", argv, environment, function=named, modules=())


def function_name(function: Callable[..., object]) -> str:
    """Return ``file::name`` of a function; the name has ``<`` or the file is None if it cannot be imported."""
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = None
    return f"{file}::{getattr(function, '__qualname__', '<')}"


def _crates(crates: Path, framework: str) -> tuple[Path, ...]:
    """Return the folders a worker is built from: its own crate, and the workspace's crates that its manifest names."""
    own = crates / "frameworks" / framework
    try:
        members = tomllib.loads((crates / "Cargo.toml").read_text())["workspace"]["dependencies"]
        named = tomllib.loads((own / "Cargo.toml").read_text())["dependencies"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        # Nothing can have been built without manifests.
        return (own, crates / "duet-worker")
    return (own, *(crates / entry["path"] for name, entry in members.items() if name in named and "path" in entry))
