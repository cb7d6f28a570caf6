"""The ``duet`` command: a subcommand's module is imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Final

import click

from pytest_duet.errors import BuildError, DuetError, StoreError
from pytest_duet.exit_status import Exit

COMMANDS: Final = (
    *("plan", "build", "validate", "measure", "analyse", "report", "history", "stats", "compare", "baseline", "gate"),
    *("ab", "scale", "learn", "job", "self-test", "serve", "serve-forks"),
)
"""The phases in their order, then what to do with saved runs, then the rest: the order of ``duet --help``."""

_MODULES: Final = {**dict.fromkeys(COMMANDS[:5], "phases"), "compare": "gate", "serve-forks": "serve"}
"""The modules that are not named after their command."""


class _Lazy(click.Group):
    """Imports a subcommand on demand, and turns a `DuetError` into one line and an exit status."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"{__name__}.{_MODULES.get(cmd_name, name)}")
        command: click.Command = getattr(module, name)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except DuetError as error:
            failure = click.ClickException(str(error))
            exits = {StoreError: Exit.STORAGE_FAILED, BuildError: Exit.FAILED}
            found = (status for kind, status in exits.items() if isinstance(error, kind))
            failure.exit_code = next(found, Exit.USAGE)  # type: ignore[misc]  # click reads it from the instance
            raise failure from error


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="pytest-duet")
def main() -> None:
    """Compare machine learning in Rust and in Python outside of pytest.

    Benchmarks run in phases: plan, build, validate, measure, analyse. Each command reads the files of the previous one;
    after `duet build`, `pytest benches` runs all the others in one process.
    """
