"""``duet compare``: compare every case of a saved run; ``duet gate`` shows only the cases that did not pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import PATH
from pytest_duet.cli.gate import finish, held, options

if TYPE_CHECKING:
    from pathlib import Path


@click.command("compare")
@click.argument("base", type=PATH, nargs=-1, required=True)
@click.argument("head", type=PATH)
@options
def compare(
    base: tuple[Path, ...],
    head: Path,
    margin: tuple[str, ...],
    allow_missing: tuple[str, ...],
    advisory: bool,
    explain: str | None,
    as_json: bool,
) -> None:
    """Compare the run HEAD with the runs BASE.

    They are files or folders saved by pytest-duet, pytest-benchmark, hyperfine or pyperf. With one run as BASE there are two numbers and no verdict: how much runs differ by chance is unknown, so the exit status
    is 11. With ten or more runs in BASE there are intervals and verdicts.
    """
    decisions = held(head, None, base, margin, allow_missing, advisory=advisory)
    finish(decisions, advisory=advisory, explain=explain, as_json=as_json, all_cases=True)
