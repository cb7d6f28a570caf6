"""``duet learn``: train every member once per seed, and compare the distributions of what they learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet import __version__
from pytest_duet.analysis.learning import Learning, Trial
from pytest_duet.analysis.learning import document as numbers
from pytest_duet.cli import common_options as shared
from pytest_duet.cli.console import Progress, print_json
from pytest_duet.defaults import DATA_CACHE
from pytest_duet.exit_status import Exit
from pytest_duet.report import learn as pages
from pytest_duet.values import from_number

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_duet.ids import GroupKey
    from pytest_duet.records.schema import MemberRecord
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.spec.suite import Suite


@click.command("learn")
@click.argument("task")
@click.argument("algorithm")
@click.option("--workload", default="", help="Workload; by default the first with a floor of quality.")
@click.option(
    "--seeds", default=10, show_default=True, type=shared.AT_LEAST_ONE, help="Number of trainings of each member."
)
@click.option("--member", "members", default="", metavar="A,B", help="Only these members; the reference always runs.")
@click.option("--threshold", type=float, help="Score that counts as reached; by default the floor of the spec.")
@shared.profile_option("Profile: the size of the data, and the parameters.")
@shared.threads_option
@shared.results_option
@shared.json_option
@shared.suite_option
def learn(
    task: str,
    algorithm: str,
    workload: str,
    seeds: int,
    members: str,
    threshold: float | None,
    profile: str,
    threads: int,
    results: Path,
    as_json: bool,
    suite: Suite,
) -> None:
    """Train every member once per seed, and compare what they learn.

    The parameters are those that quality is judged by. Each seed draws new data, the same for all members. The score of a training is the task's first metric; its time is
    that of a single call, so `pytest benches` is the place to compare speed. After Ctrl-C, the finished trainings are shown
    and saved. The exit status is 1 if a training failed.

    Example: duet learn dqn dqn --seeds 10 --member tch
    """
    from pytest_duet.binding.bind import bind
    from pytest_duet.extras.training import MODE, joined, train_group
    from pytest_duet.session import Session
    from pytest_duet.spec.resolve import group_spec

    shared.known("profile", profile, suite.profiles)
    key = _key(suite, task, algorithm, workload, profile)
    plain = group_spec(suite, key, profile, threads=threads)
    chosen = _chosen(plain, members)
    metric, floor = next(iter(plain.limits.floor.items()))
    learning = Learning(key.task, key.local_id, plain.reference, metric, floor if threshold is None else threshold)
    progress = Progress()
    with Session(results, profile, name=MODE, progress=progress) as session:
        session.check_writable()
        with session.interruptible():
            for seed in range(seeds):
                spec = group_spec(suite, key, profile, threads=threads, seed=seed)
                group, record = bind(spec, suite.benches, suite.project / DATA_CACHE), None
                for name in chosen:
                    record = session.keep(joined(record, train_group(group, [name])))
                    trial = _trial(record.members[-1], seed, metric)
                    learning.trials.append(trial)
                    progress.line(f"seed {seed}: {name}: {trial.reason or f'{metric} {trial.score:g}'}")
    if not learning.trials:
        raise click.Abort
    if as_json:
        print_json({"version": __version__, "profile": profile, "threads": threads, **numbers(learning)})
    else:
        click.echo(pages.render(learning), nl=False)
    progress.save(session)
    failed = any(trial.reason for trial in learning.trials)
    raise SystemExit(int(session.status() or (Exit.FAILED if failed else Exit.PASSED)))


def _key(suite: Suite, task: str, algorithm: str, workload: str, profile: str) -> GroupKey:
    """Return the first group of the algorithm that has a floor of quality."""
    from pytest_duet.spec.suite import applying

    for key in shared.groups_of(suite, task, algorithm, workload=workload):
        spec = suite.tasks[task]
        if any(rule.floor for rule in applying(spec.quality, key, spec.reference, profile)):
            return key
    raise click.UsageError(
        f"no workload of {task} {algorithm} has a floor of quality; name another --workload or add a [[quality]] rule"
    )


def _chosen(spec: GroupSpec, members: str) -> list[str]:
    """Return the names of the members to train, the reference first."""
    names = [member.name for member in spec.members]
    asked = [each for each in members.split(",") if each]
    for name in asked:
        shared.known("member", name, names)
    return [spec.reference, *(name for name in asked or names if name != spec.reference)]


def _trial(member: MemberRecord, seed: int, metric: str) -> Trial:
    """Return the score and the time of one training, or why it has neither."""
    scores = [from_number(bound.value) for bound in member.quality if bound.metric == metric]
    reason = member.reason or ("" if scores else f"quality {metric} was not computed")
    if reason:
        return Trial(member.name, seed, None, None, reason)
    return Trial(member.name, seed, scores[0], member.first_call_ns)
