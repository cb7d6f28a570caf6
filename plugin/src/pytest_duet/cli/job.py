"""``duet job``: print the requests that drive a worker by hand."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pytest_duet.cli.common_options import AT_LEAST_ONE, groups_of, known, profile_option, suite_option
from pytest_duet.defaults import DATA_CACHE

if TYPE_CHECKING:
    from pytest_duet.spec.suite import Suite


@click.command()
@click.argument("task")
@click.argument("algorithm")
@click.argument("phase")
@click.argument("member")
@click.option("--workload", default="", help="Workload; by default the first of the phase.")
@profile_option("Profile: the size of the data.")
@click.option("--rounds", default=3, show_default=True, type=AT_LEAST_ONE, help="Rounds to time.")
@click.option("--calls", default=1, show_default=True, type=AT_LEAST_ONE, help="Calls in each round.")
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of your own model."
)
@suite_option
def job(
    task: str,
    algorithm: str,
    phase: str,
    member: str,
    workload: str,
    profile: str,
    rounds: int,
    calls: int,
    model: Path | None,
    suite: Suite,
) -> None:
    """Print the requests of one case, to drive its worker by hand.

    The times in the replies are unpaired and prove nothing.

    Example: duet job cnn lenet train tch | target/release/duet-tch
    """
    from pytest_duet import protocol
    from pytest_duet.binding.bind import bind
    from pytest_duet.binding.member import make_job
    from pytest_duet.spec.resolve import group_spec
    from pytest_duet.validate.checkpoint import obtain_files
    from pytest_duet.workers.codec import encode

    key = groups_of(suite, task, algorithm, phase, workload)[0]
    known("profile", profile, suite.profiles)
    spec = group_spec(suite, key, profile, models={task: model.resolve()} if model else {})
    known("member", member, [each.name for each in spec.members])
    group = bind(spec, suite.benches, suite.project / DATA_CACHE)
    prepared = make_job(group, member, obtain_files(group))
    into = tempfile.mkdtemp(prefix="duet-job-")
    click.echo(f"outputs go to {into}", err=True)
    requests: list[protocol.Request] = [
        protocol.Hello(id=1),
        protocol.Prepare(id=2, job=prepared),
        protocol.Verify(id=3, into=into),
        protocol.Run(id=4, rounds=rounds, iterations=calls, keep=None),
        protocol.Quit(id=5),
    ]
    for request in requests:
        sys.stdout.buffer.write(encode(request))
