"""Phase 2, build: the Rust workers, each on its own, in release and from the locked versions."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_duet.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable


def build_worker(project: Path, name: str, position: str, say: Callable[[str], None]) -> bool:
    """Build the worker of framework `name` in folder `project`; return whether it is ready.

    `say` gets a line when the build begins and one when it ends, both marked with `position`.

    Raises:
        BuildError: there is no cargo.

    """
    argv = [
        "cargo",
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        "rust_crates/Cargo.toml",
        "-p",
        f"duet-{name}",
    ]
    say(f"[{position}] duet-{name}: {' '.join(argv)}")
    started = time.monotonic()
    try:
        status = subprocess.run(argv, cwd=project, env=_environment(), check=False).returncode
    except FileNotFoundError:
        raise BuildError("cargo is not on PATH; install Rust (rustup) and open a new shell") from None
    word = "ready" if status == 0 else f"failed with status {status}"
    say(f"[{position}] duet-{name}: {word} after {time.monotonic() - started:.0f} s")
    return status == 0


def _environment() -> dict[str, str]:
    """Return this environment with this interpreter first on PATH: torch-sys asks `python3` where libtorch is."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
