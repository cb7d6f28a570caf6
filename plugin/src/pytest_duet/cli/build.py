"""``duet build``: build the Rust workers; one that fails does not stop the others."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import benches_option, known
from pytest_duet.exit_status import Exit

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("frameworks", nargs=-1)
@benches_option
def build(frameworks: tuple[str, ...], benches: Path) -> None:
    """Build the workers of FRAMEWORKS (default: every Rust framework) in release, from the locked versions."""
    from pytest_duet.phases.build import build_worker
    from pytest_duet.spec.suite import load_suite

    def say(line: str) -> None:
        click.echo(line, err=True)

    suite = load_suite(benches.resolve())
    buildable = [name for name, each in suite.frameworks.items() if each.language == "rust" and not each.command]
    for name in frameworks:
        known("Rust framework", name, buildable)
    chosen = list(frameworks) or buildable
    failed = [
        name
        for index, name in enumerate(chosen, 1)
        if not build_worker(suite.project, name, f"{index}/{len(chosen)}", say)
    ]
    if failed:
        click.echo(f"duet: not built: {', '.join(failed)}; their cases will be unavailable", err=True)
        sys.exit(Exit.FAILED)
