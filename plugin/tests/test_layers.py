"""A module imports only from task folders below its own, and the edge is light."""

from __future__ import annotations

import ast
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

# From the edge inwards. A room may import from itself and from the rows below; task folders of one row do not know each other.
ROWS = (
    ("__main__",),
    ("plugin", "cli"),
    ("trees",),
    ("measure",),
    ("suite",),
    ("starts",),
    ("workers",),
    ("telemetry",),
    ("recorder",),
    ("store",),
    ("journal",),
    ("data", "disk", "seal"),
    ("report",),
    ("foreign", "baseline", "analysis"),
    ("gate",),
    ("comparison", "parity", "attest", "figures"),
    ("verdict", "margins"),
    ("plan", "record", "spec", "implementation"),
    ("protocol",),
    ("stats",),
    # The package itself is its door: what everybody may import from it imports nothing of ours.
    ("__init__",),
    ("door",),
    ("imports", "patterns"),
    ("errors", "units", "words"),
)
ROW = {task_folder: index for index, row in enumerate(ROWS) for task_folder in row}

# Libraries that only one room may know, at run time or not.
KEPT_APART = {"pytest": {"plugin"}, "pytest_benchmark": {"plugin"}, "click": {"cli"}, "pynvml": {"telemetry"}}

LIGHT = ("numpy", "scipy", "msgspec", "torch", "sklearn", "click")


def _modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imports(path: Path, *, typing: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield every imported module with the names taken from it; those for type checkers only if `typing`."""

    def is_typing(node: ast.AST) -> bool:
        return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"

    def walk(node: ast.AST) -> Iterator[tuple[str, list[str]]]:
        for child in ast.iter_child_nodes(node):
            if is_typing(child) and not typing:
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, []) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: a relative import"
                yield child.module or "", [alias.name for alias in child.names]
            yield from walk(child)

    yield from walk(ast.parse(path.read_bytes()))


def _rooms_imported(path: Path) -> set[str]:
    found = set()
    for module, names in _imports(path, typing=False):
        if module == PACKAGE:
            submodules = {name for name in names if (ROOT / name).is_dir() or (ROOT / f"{name}.py").exists()}
            found |= submodules or {"__init__"}
        elif module.startswith(f"{PACKAGE}."):
            found.add(module.split(".")[1])
    return found


def test_every_module_has_its_row() -> None:
    assert set() == {_room(path) for path in _modules()} - ROW.keys()


@pytest.mark.parametrize("path", _modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_imports_only_from_rooms_below_its_own(path: Path) -> None:
    task_folder = _room(path)
    assert set() == {other for other in _rooms_imported(path) - {task_folder} if ROW[other] <= ROW[task_folder]}


@pytest.mark.parametrize("library", KEPT_APART)
def test_only_one_room_knows_the_library(library: str) -> None:
    knowing = {
        _room(path)
        for path in _modules()
        for module, _ in _imports(path, typing=True)
        if module.partition(".")[0] == library
    }
    assert set() == knowing - KEPT_APART[library]


def _imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_the_plugin_costs_a_stranger_nothing_heavy() -> None:
    loaded = _imported_by(f"{PACKAGE}.plugin")
    assert f"{PACKAGE}.plugin.bench_items" in loaded
    assert set() == loaded & set(LIGHT)


def test_a_worker_knows_nothing_of_pytest() -> None:
    loaded = _imported_by(f"{PACKAGE}.cli.serve, {PACKAGE}.workers.serve, {PACKAGE}.workers.python")
    assert set() == loaded & {"pytest", "_pytest", "scipy"}


def test_a_room_above_is_told_from_one_below(tmp_path: Path) -> None:
    module = tmp_path / "x.py"
    module.write_text(
        "from typing import TYPE_CHECKING\n"
        "from pytest_duet import __version__, disk\n"
        "import pytest_duet.errors\n"
        "if TYPE_CHECKING:\n    from pytest_duet.plugin import bench_items\n"
        "else:\n    pass\n"
        "def later():\n    from pytest_duet.measure.group import MODE\n"
    )
    assert {"disk", "errors", "measure"} == _rooms_imported(module)
