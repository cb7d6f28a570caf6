"""Shared by the tests of tasks that take a user's own model: break its folder, and run the task on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PROJECT = Path(__file__).resolve().parents[3]
SECONDS = 240.0


def reconfigured(**changes: object) -> Callable[[Path], None]:
    """Return a function that changes the configuration in a model's folder."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


UNREADABLE = {
    "no json": (
        lambda folder: (folder / "config.json").write_text("{"),
        "is no configuration of a model .*save_pretrained",
    ),
    "no tensors": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"\0"),
        "cannot be read .*as safetensors",
    ),
    "no tokeniser": (lambda folder: (folder / "tokenizer.json").write_text("[]"), "is no tokeniser .*save_pretrained"),
}
"""Folders that no task can use: how each is broken, and why it is refused."""


def check_task(task: str, model: Path, cache: Path, cases: str, expected: Iterable[str]) -> None:
    """Run the `cases` of `task` on the user's `model`: all pass, the output has every line `expected`, and no file has the folder's path."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            f"benches/{task}",
            "--benchmark-disable",
            "-p",
            "no:cacheprovider",
            f"--duet-model={task}={model}",
            f"--duet-cache={cache}",
            "-k",
            cases,
            "-rfE",
        ],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    for each in expected:
        assert each in done.stdout
    for path in cache.glob("**/*.txt"):
        assert str(model) not in path.read_text()
