"""``duet compare``: compare every case of one saved run with others.

It ends with the same exit status as ``duet gate``, which shows only the cases that did not pass.
"""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.cli.gate import finish, held, options


@click.command("compare")
@click.argument("base", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.argument("head", type=click.Path(path_type=Path))
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
    """Compare the run HEAD with the runs BASE: files or folders saved by pytest-duet or tools like it.

    With one run as BASE there are two numbers and no verdict: how much runs differ by chance is unknown, so the exit status
    is 11. With ten or more runs in BASE there are intervals and verdicts.
    """
    decisions = held(head, None, base, margin, allow_missing, advisory=advisory)
    finish(decisions, advisory=advisory, explain=explain, as_json=as_json, all_cases=True)
