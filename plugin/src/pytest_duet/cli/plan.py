"""``duet plan``: list the groups of the suite, or write them as data for the phases that follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet.cli import common_options as shared

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.spec.suite import Suite


@click.command("plan")
@shared.expression_option("Only groups whose id matches, such as 'lasso and not predict'.")
@shared.profile_option("Profile: the size of the data, and how much time a group may take.")
@shared.threads_option
@click.option("--device", default="cpu", show_default=True, help="Device of every member: cpu or cuda:N.")
@click.option("--into", type=shared.FOLDER, metavar="DIR", help="Write a file for each group to DIR.")
@shared.json_option
@shared.suite_option
def plan(
    expression: str, profile: str, threads: int, device: str, into: Path | None, as_json: bool, suite: Suite
) -> None:
    """List the groups that `pytest benches` would run.

    With --into or --json, they are written as data for the next phases. Nothing of a task is imported, built or run. With --json, each group comes with the specs derived from it: the training
    of its checkpoint, the smaller workload of the scaling check, the changed parameters of the effect checks, and the stop
    rules of the time to convergence.

    \b
    Examples: duet plan -k "ridge and train"
              duet plan -k lenet --into plan/ && duet validate plan/ --into validated/
    """  # noqa: D301 - the backspace is click's sign to leave lines as they are
    from pytest_duet.phases.files import write_specs
    from pytest_duet.spec.derived import planned
    from pytest_duet.spec.resolve import group_spec
    from pytest_duet.spec.selectors import expression as means
    from pytest_duet.spec.suite import group_keys

    shared.known("profile", profile, suite.profiles)
    wanted = means(expression)
    specs = [
        group_spec(suite, key, profile, threads=threads, device=device)
        for name, task in suite.tasks.items()
        for key in group_keys(name, task)
        if wanted(str(key))
    ]
    if not specs:
        raise click.UsageError(f"-k: no group of {suite.benches} matches {expression!r}; `duet plan` lists all")
    if into is not None:
        for path in write_specs(specs, into):
            click.echo(path)
    elif as_json:
        from pytest_duet.cli.console import print_json

        print_json([planned(spec) for spec in specs])
    else:
        for spec in specs:
            click.echo(f"{spec.id}: {', '.join(member.name for member in spec.members)}")
    hint = f"; next: duet validate {into} --into DIR" if into else ""
    click.echo(f"{len(specs)} {'group' if len(specs) == 1 else 'groups'}, profile {profile}{hint}", err=True)
