"""``duet job``: print the requests that drive a worker by hand.

Not for measuring: what comes back is one worker's word, unpaired.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from pytest_duet.cli.common_options import benches_option, known
from pytest_duet.defaults import DATA_CACHE


@click.command()
@click.argument("task")
@click.argument("algorithm")
@click.argument("phase")
@click.argument("member")
@click.option("--workload", default="", help="Which data set; default: the task's first.")
@click.option("--profile", default="smoke", show_default=True, help="Which size.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="Rounds to time.")
@click.option("--calls", default=1, show_default=True, type=click.IntRange(min=1), help="Calls in each round.")
@click.option(
    "--model", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of a model of yours."
)
@benches_option
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
    benches: Path,
) -> None:
    """Print requests for one case; pipe them into its worker.

    Example: duet job cnn lenet train tch | target/release/duet-tch
    """
    from pytest_duet import protocol
    from pytest_duet.binding.bind import bind
    from pytest_duet.binding.member import make_job
    from pytest_duet.ids import GroupKey
    from pytest_duet.spec.resolve import group_spec
    from pytest_duet.spec.suite import load_suite, member_names
    from pytest_duet.validate.checkpoint import obtain_files
    from pytest_duet.workers.codec import encode

    suite = load_suite(benches.resolve())
    known("task", task, suite.tasks)
    entry = suite.tasks[task]
    known("algorithm", algorithm, entry.algorithms)
    known("phase", phase, entry.phases)
    known("profile", profile, suite.profiles)
    workload = workload or next(iter(entry.workloads))
    known("workload", workload, entry.workloads)
    known("member", member, member_names(entry, algorithm, phase, workload, profile))
    models = {task: model.resolve()} if model else {}
    spec = group_spec(suite, GroupKey(task, algorithm, phase, workload), profile, models=models)
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
