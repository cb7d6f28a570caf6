"""``duet compare``: how every case of one saved run stands against others.

Not for a CI job, though it ends with the same status: ``duet gate`` shows only what matters there.
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
    advisory: bool,  # noqa: FBT001 - click's flag
    explain: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Compare the run HEAD with the runs BASE: files or folders saved by pytest-duet or tools like it.

    Two runs show two numbers and no more: how much runs differ by themselves is unknown, so nothing is decided (exit status
    11). With ten or more runs in BASE there are intervals and verdicts.
    """
    decisions = held(head, None, base, margin, allow_missing, advisory=advisory)
    finish(decisions, advisory=advisory, explain=explain, as_json=as_json, all_cases=True)
