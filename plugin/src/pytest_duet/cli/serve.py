"""``duet serve`` and ``duet serve-forks``: pytest-duet starts these itself, to run Python implementations as workers."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click


@click.command()
@click.option(
    "--benches", type=click.Path(path_type=Path, exists=True), help="Folder with frameworks.toml and the task folders."
)
@click.option("--framework", help="Serve every implementation of this framework.")
@click.option("--callable", "function", metavar="FILE::NAME", help="Serve one plain function instead.")
@click.option("--task", default="", help="The task name the function answers to.")
def serve(benches: Path | None, framework: str | None, function: str | None, task: str) -> None:
    """Answer the worker protocol on stdin and stdout with Python implementations."""
    from pytest_duet.workers.orphans import die_with_parent
    from pytest_duet.workers.serve import serve as answer

    # Do this first: the imports below take seconds, and the parent may die meanwhile.
    die_with_parent()
    from pytest_duet.errors import Unavailable, nearest
    from pytest_duet.spec.suite import load_suite
    from pytest_duet.workers.python import framework_host, function_host, import_modules, load_function

    if function:
        file, _, name = function.partition("::")
        answer(function_host(load_function(Path(file), name), task))
        return
    if not benches or not framework:
        raise click.UsageError("give --benches and --framework, or --callable")
    suite = load_suite(benches.resolve())
    if framework not in suite.frameworks:
        raise click.UsageError(f"unknown framework {framework!r}{nearest(framework, suite.frameworks)}")
    # Import before the first request, so that several workers that start together import at the same time. If an import
    # fails, the reply to `hello` reports it.
    with contextlib.suppress(Unavailable):
        import_modules(suite.frameworks[framework])
    answer(framework_host(suite.benches, framework, suite.frameworks[framework]))


@click.command(hidden=True)
@click.argument("descriptor", type=int)
@click.argument("modules", nargs=-1)
def serve_forks(descriptor: int, modules: tuple[str, ...]) -> None:
    """Import MODULES, then fork a worker for each request on socket DESCRIPTOR."""
    from pytest_duet.workers.orphans import die_with_parent

    die_with_parent()
    # Every worker needs these modules; import them once for all children.
    import pytest_duet.spec.suite
    import pytest_duet.workers.python  # noqa: F401
    from pytest_duet.cli import main
    from pytest_duet.workers.forkserver import serve_forks as serve

    serve(descriptor, modules, lambda arguments: main(arguments, standalone_mode=False))
