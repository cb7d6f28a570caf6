"""Imports are found without running the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_duet.spec.imports import absolute_imports, relative_imports

if TYPE_CHECKING:
    from pathlib import Path


def test_libraries_are_found_in_the_files_and_in_what_they_import_relatively(tmp_path: Path) -> None:
    task_folder = tmp_path / "task"
    task_folder.mkdir()
    (task_folder / "impl_x.py").write_text(
        "import os\nimport numpy as np\nfrom sklearn import svm\nfrom sklearn.svm import SVC\n"
        "from ..shared import scale\nfrom .local import x\nfrom pytest_duet.implementation import Outputs\n"
        "def later():\n    import torch\n"
    )
    (task_folder / "local.py").write_text("import safetensors.numpy\n")
    (tmp_path / "shared.py").write_text("import scipy\nfrom . import more\n")
    (tmp_path / "more.py").write_text("import click\nfrom .shared import scale\n")
    assert {"numpy", "sklearn", "sklearn.svm", "scipy", "safetensors.numpy", "click"} == set(
        absolute_imports([task_folder / "impl_x.py"])
    )


def test_relative_imports_are_found_anywhere_in_the_code(tmp_path: Path) -> None:
    task_folder = tmp_path / "task"
    task_folder.mkdir()
    (task_folder / "data.py").write_text(
        "import numpy\nfrom ..recipes import whole\n\ndef make():\n    from . import world\n"
    )
    (tmp_path / "recipes.py").write_text("from .control import World\n")
    (tmp_path / "control.py").write_text("from .recipes import whole\n")
    (tmp_path / "other.py").touch()
    (task_folder / "world.py").touch()

    found = [path.relative_to(tmp_path).as_posix() for path in relative_imports(task_folder / "data.py")]

    assert ["task/data.py", "recipes.py", "task/world.py", "control.py"] == found


def test_a_file_with_a_syntax_error_counts_and_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text("def make(:\n")
    assert ([], [tmp_path / "data.py"]) == (
        absolute_imports(tmp_path.iterdir()),
        relative_imports(tmp_path / "data.py"),
    )
