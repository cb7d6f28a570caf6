"""``duet plan``: the groups of the suite as data, for people or for the phases that follow."""

from __future__ import annotations

from pathlib import Path

import click

from pytest_duet.cli.common_options import benches_option, json_option, known, threads_option
from pytest_duet.defaults import PROFILE


@click.command("plan")
@click.option(
    "-k", "expression", default="", metavar="EXPRESSION", help="Only groups like this: lasso and not predict."
)
@click.option("--profile", default=PROFILE, show_default=True, help="Which sizes, and how much time.")
@threads_option
@click.option("--device", default="cpu", show_default=True, help="Where every member computes: cpu or cuda:N.")
@click.option("--into", type=click.Path(path_type=Path, file_okay=False), help="Write a file for each group into DIR.")
@json_option
@benches_option
def plan(
    expression: str,
    profile: str,
    threads: int,
    device: str,
    into: Path | None,
    as_json: bool,  # noqa: FBT001 - click's flag
    benches: Path,
) -> None:
    """List the groups that `pytest benches` would run, or print them as JSON.

    Nothing of a task is imported, built or run. With --json each group comes with the specs derived from it: the training
    of its checkpoint, an eighth of its work, other settings that must matter, its ladder of stop rules.

    \b
    Examples: duet plan -k "ridge and train"
              duet plan -k lenet --into plan/ && duet validate plan/*.spec.json --into validated/
    """  # noqa: D301 - the backspace is click's sign to leave lines as they are
    import msgspec

    from pytest_duet.errors import SpecError
    from pytest_duet.phases.files import write_specs
    from pytest_duet.spec.derived import planned
    from pytest_duet.spec.resolve import group_spec
    from pytest_duet.spec.selectors import expression as means
    from pytest_duet.spec.suite import group_keys, load_suite

    suite = load_suite(benches.resolve())
    known("profile", profile, suite.profiles)
    try:
        wanted = means(expression)
    except SpecError as error:
        raise click.UsageError(f"-k: {error}") from error
    specs = [
        group_spec(suite, key, profile, threads=threads, device=device)
        for name, task in suite.tasks.items()
        for key in group_keys(name, task)
        if wanted(str(key))
    ]
    if not specs:
        raise click.UsageError(f"-k: no group of {benches} is like {expression!r}; `duet plan` lists all")
    if into is not None:
        for path in write_specs(specs, into):
            click.echo(path)
    elif as_json:
        document = msgspec.json.encode([planned(spec) for spec in specs], order="deterministic")
        click.echo(msgspec.json.format(document, indent=2).decode())
    else:
        for spec in specs:
            click.echo(f"{spec.id}: {', '.join(member.name for member in spec.members)}")
        click.echo(f"{len(specs)} {'group' if len(specs) == 1 else 'groups'}, profile {profile}", err=True)
