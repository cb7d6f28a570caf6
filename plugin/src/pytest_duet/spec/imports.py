"""Find what source files import without running them: libraries, and files beside them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def absolute_imports(files: Iterable[Path]) -> list[str]:
    """Return the libraries that `files`, and the files they import relatively, import at their top level.

    Files of the project itself are not among them, so a process that has imported them can serve any commit of it.
    """
    found: dict[str, None] = {}
    for _, tree in _reached(files, anywhere=False):
        for node in tree.body:
            if isinstance(node, ast.Import):
                found.update(dict.fromkeys(alias.name for alias in node.names))
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                # `from package import name` may import a module; a class is none.
                names = [f"{node.module}.{alias.name}" for alias in node.names if alias.name.islower()]
                found.update(dict.fromkeys([node.module, *names]))
    return [name for name in found if name.partition(".")[0] not in {*sys.stdlib_module_names, "pytest_duet"}]


def relative_imports(file: Path) -> list[Path]:
    """Return `file` and every file that it imports relatively, directly or through others, anywhere in their code."""
    return [path for path, _ in _reached([file], anywhere=True)]


def _reached(files: Iterable[Path], *, anywhere: bool) -> Iterator[tuple[Path, ast.Module]]:
    """Yield `files` and the files they import relatively, each once: `anywhere` in them, or at their top level."""
    waiting, seen = sorted(files), set[Path]()
    while waiting:
        file = waiting.pop(0)
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError:
            # The process that imports the file reports the error.
            tree = ast.Module([], [])
        yield file, tree
        for node in ast.walk(tree) if anywhere else tree.body:
            if isinstance(node, ast.ImportFrom) and node.level:
                folder = file.parents[node.level - 1]
                names = [node.module] if node.module else [alias.name for alias in node.names]
                waiting += [folder / f"{name.replace('.', '/')}.py" for name in names]
