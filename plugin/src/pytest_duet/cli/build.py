"""``duet build``: build the Rust workers one after the other; if one fails, the others are still built."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import click

from pytest_duet.cli.common_options import benches_option, known


@click.command()
@click.argument("frameworks", nargs=-1)
@benches_option
def build(frameworks: tuple[str, ...], benches: Path) -> None:
    """Build the workers of FRAMEWORKS (default: every Rust framework) in release, from the locked versions."""
    from pytest_duet.spec.resolve import load_suite

    suite = load_suite(benches.resolve())
    buildable = [name for name, each in suite.frameworks.items() if each.language == "rust" and not each.command]
    for name in frameworks:
        known("Rust framework", name, buildable)
    chosen = list(frameworks) or buildable
    failed = [
        name for index, name in enumerate(chosen, 1) if not build_worker(suite.project, name, f"{index}/{len(chosen)}")
    ]
    if failed:
        click.echo(f"duet: not built: {', '.join(failed)}; their cases will be unavailable", err=True)
        sys.exit(1)


def build_worker(project: Path, name: str, position: str) -> bool:
    """Build the worker of framework `name` in folder `project`, report progress on stderr, and return whether it succeeded.

    `position`, such as ``2/5``, precedes each line.

    Raises:
        ClickException: cargo is not on PATH.

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
    click.echo(f"[{position}] duet-{name}: {' '.join(argv)}", err=True)
    started = time.monotonic()
    try:
        status = subprocess.run(argv, cwd=project, env=environment(), check=False).returncode
    except FileNotFoundError:
        raise click.ClickException("cargo is not on PATH; install Rust (rustup) and open a new shell") from None
    outcome = "ready" if status == 0 else f"failed with status {status}"
    click.echo(f"[{position}] duet-{name}: {outcome} after {time.monotonic() - started:.0f} s", err=True)
    return status == 0


def environment() -> dict[str, str]:
    """Return this process's environment with this interpreter first on PATH: torch-sys runs `python3` to find libtorch."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
