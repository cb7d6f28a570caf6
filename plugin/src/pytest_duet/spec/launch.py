"""How the workers of a framework are launched on this machine, and what is missing where they cannot be."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import tomllib
from typing import TYPE_CHECKING, Final

from pytest_duet.spec.group import LaunchSpec
from pytest_duet.spec.imports import absolute_imports

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_duet.spec.schema import Framework
    from pytest_duet.spec.suite import Suite

THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
"""What numeric libraries of both languages read when they start."""


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables that limit numeric libraries to `threads` threads."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


def launch_spec(suite: Suite, name: str, *, threads: int) -> LaunchSpec:
    """Return how framework `name` is launched here, or why it cannot be."""
    framework, benches, project = suite.frameworks[name], suite.benches, suite.project
    fill = {"python": sys.executable, "root": str(project), "threads": str(threads)}
    environment = thread_environment(threads)
    environment.update({key: value.format(**fill) for key, value in framework.environment.items()})
    command = tuple(part.format(**fill) for part in framework.command)
    if framework.language == "python":
        # -P: nothing is importable just because it lies where the driver was started.
        ours = (sys.executable, "-P", "-m", "pytest_duet")
        serve = (*ours, "serve", "--benches", str(benches), "--framework", name)
        return LaunchSpec(
            kind="process" if command else "direct",
            argv=command or serve,
            environment=environment,
            missing=_missing_modules(framework),
            modules=None if command else _imported(benches, name, framework),
        )
    crates = project / "rust_crates"
    binary = project / "target" / "release" / f"duet-{name}"
    build = f"duet build {name}"
    missing = "" if command or binary.is_file() else f"target/release/duet-{name} is not built; build it: {build}"
    return LaunchSpec(
        kind="process",
        argv=command or (str(binary),),
        environment=environment,
        missing=missing,
        sources=() if command else tuple(map(str, _crates(crates, name))),
        lock="" if command else str(crates / "Cargo.lock"),
        build="" if command else build,
    )


def function_launch(function: Callable[..., object], task: str, *, threads: int = 1) -> LaunchSpec:
    """Return how a user's own Python function is launched: called in this process, or served by another as `task`."""
    named = function_name(function)
    name = getattr(function, "__qualname__", "<")
    reachable = not named.startswith("None::") and "<" not in name
    return LaunchSpec(
        kind="direct",
        argv=(sys.executable, "-m", "pytest_duet", "serve", "--callable", named, "--task", task) if reachable else (),
        # pytest may have been given more places to import from.
        environment={
            **thread_environment(threads),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        function=named if reachable else "",
        unserved="" if reachable else f"{name} cannot be imported by file and name; define it at the top of a module",
        modules=() if reachable else None,
    )


def function_name(function: Callable[..., object]) -> str:
    """Return ``file::name`` of a function; where it has no such place, something that cannot be imported."""
    try:
        file = inspect.getsourcefile(function)
    except TypeError:
        file = None
    return f"{file}::{getattr(function, '__qualname__', '<')}"


def _imported(benches: Path, name: str, framework: Framework) -> tuple[str, ...]:
    """Return the libraries that workers of Python framework `name` import, whatever their task."""
    return tuple(dict.fromkeys([*framework.modules, *absolute_imports(benches.glob(f"*/impl_{name}.py"))]))


def _crates(crates: Path, framework: str) -> tuple[Path, ...]:
    """Return the folders a worker is built from: its own, and those of the workspace that its manifest names."""
    own = crates / "frameworks" / framework
    try:
        members = tomllib.loads((crates / "Cargo.toml").read_text())["workspace"]["dependencies"]
        named = tomllib.loads((own / "Cargo.toml").read_text())["dependencies"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        # Without manifests there is nothing that could have been built from them.
        return (own, crates / "duet-worker")
    beside = [entry["path"] for name, entry in members.items() if name in named and "path" in entry]
    return (own, *(crates / path for path in beside))


def _missing_modules(framework: Framework) -> str:
    missing = [module for module in framework.modules if importlib.util.find_spec(module) is None]
    if not missing:
        return ""
    remedy = f"; pip install 'pytest-duet[{framework.extra}]'" if framework.extra else ""
    return f"{framework.title} is not installed (no module {missing[0]!r}){remedy}"
