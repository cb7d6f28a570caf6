"""Phase 2, build: build each Rust worker by itself, in release mode and from the locked versions."""

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
    """Build the worker of framework `name` in folder `project`, and return whether that succeeded.

    `say` gets a line when the build begins and one when it ends, both marked with `position`.

    Raises:
        BuildError: cargo is not installed.
    """
    options = ["--release", "--locked", "--manifest-path", "rust_crates/Cargo.toml"]
    argv = ["cargo", "build", *options, "-p", f"duet-{name}"]
    say(f"[{position}] duet-{name}: {' '.join(argv)}")
    started = time.monotonic()
    # torch-sys asks the first `python3` on PATH where libtorch is.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        status = subprocess.run(argv, cwd=project, env={**os.environ, "PATH": path}, check=False).returncode
    except FileNotFoundError:
        raise BuildError("cargo is not on PATH; install Rust (rustup) and open a new shell") from None
    word = "ready" if status == 0 else f"failed with status {status}"
    say(f"[{position}] duet-{name}: {word} after {time.monotonic() - started:.0f} s")
    return status == 0
