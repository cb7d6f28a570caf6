"""Seven layers: a part of the package imports from its own layer and those below, never in a circle; the edge is light."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pytest_duet

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = "pytest_duet"
ROOT = Path(pytest_duet.__file__).parent

# From the edge down. docs/architecture.md shows the same layers.
LAYERS = (
    ("__main__", "cli", "plugin"),
    ("session", "phases", "extras"),
    ("validate", "measure"),
    ("binding", "workers", "telemetry"),
    ("report", "analysis"),
    ("records", "spec"),
    (
        *("__init__", "api", "defaults", "digests", "errors", "exit_status", "ids", "implementation", "protocol"),
        *("stats", "units", "values", "vocabulary"),
    ),
)
LAYER = {part: index for index, parts in enumerate(LAYERS) for part in parts}

# Parts of one layer that do not know each other.
APART = (("cli", "plugin"), ("validate", "measure"))

LONGEST_MODULE = 300
LONGER_FOR_A_REASON: dict[str, str] = {}

# Libraries that only one part may know.
KEPT_APART = {"pytest": {"plugin"}, "pytest_benchmark": {"plugin"}, "click": {"cli"}, "pynvml": {"telemetry"}}

LIGHT = ("numpy", "scipy", "msgspec", "torch", "sklearn", "click")


def _modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def _part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every imported module with the names taken from it, those for type checkers and in functions too."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module or "", [alias.name for alias in node.names]


def _parts_imported(path: Path) -> set[str]:
    found = set()
    for module, names in _imports(path):
        if module == PACKAGE:
            submodules = {name for name in names if (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists()}
            found |= submodules or {"__init__"}
        elif module.startswith(f"{PACKAGE}."):
            found.add(module.split(".")[1])
    return found


def _graph() -> dict[str, set[str]]:
    """Return for each part of the package the others that it imports."""
    graph: dict[str, set[str]] = {part: set() for part in LAYER}
    for path in _modules():
        graph[_part(path)] |= _parts_imported(path) - {_part(path)}
    return graph


def test_every_part_has_its_layer() -> None:
    assert set(LAYER) == {_part(path) for path in _modules()}


@pytest.mark.parametrize("path", _modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_from_its_own_layer_and_those_below(path: Path) -> None:
    assert set() == {other for other in _parts_imported(path) if LAYER[other] < LAYER[_part(path)]}


def test_no_part_imports_itself_by_way_of_others() -> None:
    tuple(graphlib.TopologicalSorter(_graph()).static_order())


def test_no_module_imports_itself_by_way_of_others_in_its_part() -> None:
    names = {".".join([PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]): path for path in _modules()}
    graph: dict[str, set[str]] = {}
    for name, path in names.items():
        graph[name] = set()
        for module, taken in _imports(path):
            graph[name] |= {each for each in (module, *(f"{module}.{one}" for one in taken)) if each in names}
        graph[name].discard(name)
    tuple(graphlib.TopologicalSorter(graph).static_order())


@pytest.mark.parametrize(("one", "other"), APART)
def test_some_parts_do_not_know_each_other(one: str, other: str) -> None:
    graph = _graph()
    assert (False, False) == (other in graph[one], one in graph[other])


def test_no_module_is_long_without_a_reason() -> None:
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines()) for path in _modules()}
    assert set(LONGER_FOR_A_REASON) == {name for name, lines in lengths.items() if lines > LONGEST_MODULE}


@pytest.mark.parametrize("library", KEPT_APART)
def test_only_one_part_knows_the_library(library: str) -> None:
    knowing = {
        _part(path) for path in _modules() for module, _ in _imports(path) if module.partition(".")[0] == library
    }
    assert set() == knowing - KEPT_APART[library]


def _imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_plugin_costs_a_stranger_nothing_heavy() -> None:
    loaded = _imported_by(f"{PACKAGE}.plugin")
    assert f"{PACKAGE}.plugin.items" in loaded
    assert set() == loaded & set(LIGHT)


def test_a_worker_knows_nothing_of_pytest() -> None:
    loaded = _imported_by(f"{PACKAGE}.cli.serve, {PACKAGE}.workers.serve, {PACKAGE}.workers.python")
    assert set() == loaded & {"pytest", "_pytest", "scipy"}


def test_imports_for_type_checkers_and_in_functions_are_seen(tmp_path: Path) -> None:
    module = tmp_path / "x.py"
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "from pytest_duet import __version__, digests\n"
        "import pytest_duet.errors\n"
        "if TYPE_CHECKING:\n    from pytest_duet.plugin import items\n"
        "def later():\n    from pytest_duet.measure.time_group import MODE\n"
    )
    assert {"digests", "errors", "measure", "plugin"} == _parts_imported(module)
