"""What source files import, read off and not run: libraries, and files beside them.

Not for importing anything.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def absolute_imports(files: Iterable[Path]) -> list[str]:
    """Return the libraries that `files`, and what they import from beside them, import at their top level.

    Nothing beside them is among these, so what has imported them holds nothing of one tree that could serve another.
    """
    found: dict[str, None] = {}
    for _, tree in _reached(files, anywhere=False):
        for node in tree.body:
            if isinstance(node, ast.Import):
                found.update(dict.fromkeys(alias.name for alias in node.names))
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found[node.module] = None
                # `from package import module` names a module as often as not; a class it does not.
                found.update(
                    dict.fromkeys(f"{node.module}.{alias.name}" for alias in node.names if alias.name.islower())
                )
    return [name for name in found if name.partition(".")[0] not in {*sys.stdlib_module_names, "pytest_duet"}]


def with_those_beside(file: Path) -> list[Path]:
    """Return `file` and every file that it imports from beside it, by way of others too, wherever in them that is."""
    return [path for path, _ in _reached([file], anywhere=True)]


def _reached(files: Iterable[Path], *, anywhere: bool) -> Iterator[tuple[Path, ast.Module]]:
    """Yield `files` and what they import relatively, each once; `anywhere` in them or at their top level."""
    waiting, seen = sorted(files), set[Path]()
    while waiting:
        file = waiting.pop(0)
        if file in seen or not file.is_file():
            continue
        seen.add(file)
        try:
            tree = ast.parse(file.read_bytes())
        except SyntaxError:
            # Whoever imports it says what is wrong.
            tree = ast.Module([], [])
        yield file, tree
        for node in ast.walk(tree) if anywhere else tree.body:
            if isinstance(node, ast.ImportFrom) and node.level:
                waiting += _beside(file, node)


def _beside(file: Path, node: ast.ImportFrom) -> list[Path]:
    """Return the files that a relative import may mean."""
    folder = file.parents[node.level - 1]
    names = [node.module] if node.module else [alias.name for alias in node.names]
    return [folder / f"{name.replace('.', '/')}.py" for name in names]
