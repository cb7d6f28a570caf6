"""``duet serve-forks``: run as the fork server of Python workers.

pytest-duet starts this command itself.
"""

from __future__ import annotations

import click


@click.command(hidden=True)
@click.argument("descriptor", type=int)
@click.argument("modules", nargs=-1)
def serve_forks(descriptor: int, modules: tuple[str, ...]) -> None:
    """Import MODULES, then fork a worker for each request on socket DESCRIPTOR."""
    from pytest_duet.workers.orphans import die_with_parent

    die_with_parent()
    # Every worker needs these modules; import them once for all children.
    import pytest_duet.cli.serve
    import pytest_duet.spec.suite
    import pytest_duet.workers.python  # noqa: F401
    from pytest_duet.cli import main
    from pytest_duet.workers.forkserver import serve_forks as serve

    serve(descriptor, modules, lambda arguments: main(arguments, standalone_mode=False))
