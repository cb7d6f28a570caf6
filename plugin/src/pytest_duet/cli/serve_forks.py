"""``duet serve-forks``: be the process that Python workers are forked from.

Not for people: ``measure`` starts it.
"""

from __future__ import annotations

import click


@click.command(hidden=True)
@click.argument("descriptor", type=int)
@click.argument("modules", nargs=-1)
def serve_forks(descriptor: int, modules: tuple[str, ...]) -> None:
    """Import MODULES, then fork a worker for each request on socket DESCRIPTOR."""
    from pytest_duet.workers.serve import die_with_parent

    die_with_parent()
    # What every worker needs, so that no child imports it again.
    import pytest_duet.cli.serve
    import pytest_duet.spec.suite
    import pytest_duet.workers.python  # noqa: F401
    from pytest_duet.cli import main
    from pytest_duet.workers.forkserver import serve_forks as serve

    serve(descriptor, modules, lambda arguments: main(arguments, standalone_mode=False))
