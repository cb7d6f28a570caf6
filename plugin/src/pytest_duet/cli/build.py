"""``duet build``: build the Rust workers; one that fails does not stop the others."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import known, suite_option
from pytest_duet.exit_status import Exit

if TYPE_CHECKING:
    from pytest_duet.spec.suite import Suite


@click.command()
@click.argument("frameworks", nargs=-1)
@suite_option
def build(frameworks: tuple[str, ...], suite: Suite) -> None:
    """Build the workers of FRAMEWORKS, by default of every Rust framework.

    They are built in release mode and from the locked versions. One that fails does not stop the others.
    """
    from pytest_duet.phases.build import build_worker

    say = partial(click.echo, err=True)
    buildable = [name for name, each in suite.frameworks.items() if each.language == "rust" and not each.command]
    for name in frameworks:
        known("Rust framework", name, buildable)
    chosen = frameworks or buildable
    failed = [
        name
        for index, name in enumerate(chosen, 1)
        if not build_worker(suite.project, name, f"{index}/{len(chosen)}", say)
    ]
    if failed:
        say(f"duet: not built: {', '.join(failed)}; their cases will be unavailable")
        sys.exit(Exit.FAILED)
