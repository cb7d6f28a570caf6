"""``duet learn``: train every member once a seed, and say what they earn as distributions over seeds.

Not for speed: ``pytest benches`` times members in turns. Times here are of single calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pytest_duet import __version__
from pytest_duet.analysis.learning import Learning, Trial
from pytest_duet.analysis.learning import document as numbers
from pytest_duet.cli.common_options import (
    benches_option,
    json_option,
    known,
    profile_option,
    results_option,
    threads_option,
)
from pytest_duet.cli.console import print_json
from pytest_duet.cli.progress import Progress
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
@click.option("--workload", default="", help="Which data; by default the first whose quality has a floor.")
@click.option(
    "--seeds", default=10, show_default=True, type=click.IntRange(min=1), help="How many runs of each member."
)
@click.option("--member", "members", default="", help="Only these, with commas; the reference runs in any case.")
@click.option("--threshold", type=float, help="What a run must earn to arrive; by default the floor of the spec.")
@profile_option("Which sizes and parameters.")
@threads_option
@results_option
@json_option
@benches_option
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
    as_json: bool,  # noqa: FBT001 - click's flag
    benches: Path,
) -> None:
    """Train every member of ALGORITHM of TASK once a seed, with the parameters quality is judged by.

    The seed draws the data anew, the same for all members. What a run earns is the task's first metric. Runs that
    are done are shown and saved even after Ctrl-C. The exit status is 1 where a run failed.

    Example: duet learn dqn dqn --seeds 10 --member tch
    """
    from pytest_duet.binding.bind import bind
    from pytest_duet.extras.learning import MODE, joined, train_group
    from pytest_duet.session import Session
    from pytest_duet.spec.resolve import group_spec
    from pytest_duet.spec.suite import load_suite

    suite = load_suite(benches.resolve())
    known("profile", profile, suite.profiles)
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
                    record = joined(record, session.run(group, [name], by=train_group, keep=False))
                    session.keep(record)
                    trial = _trial(record.members[-1], seed, metric)
                    learning.trials.append(trial)
                    progress.line(f"seed {seed}: {name}: {trial.reason or f'{metric} {trial.score:g}'}")
    if not learning.trials:
        raise click.Abort
    if as_json:
        print_json({"version": __version__, "profile": profile, "threads": threads, **numbers(learning)})
    else:
        click.echo(pages.render(learning), nl=False)
    saved = session.save(session.analysed())
    if saved is not None:
        progress.line(f"saved: {saved}")
    for error in session.errors:
        progress.line(f"duet: not saved: {error}")
    if session.errors:
        raise SystemExit(int(Exit.STORAGE_FAILED))
    if any(trial.reason for trial in learning.trials):
        raise SystemExit(int(Exit.FAILED))


def _key(suite: Suite, task: str, algorithm: str, workload: str, profile: str) -> GroupKey:
    """Return the group that learns: of those of the algorithm the first with a floor of quality."""
    from pytest_duet.spec.suite import applying, group_keys

    known("task", task, suite.tasks)
    spec = suite.tasks[task]
    known("algorithm", algorithm, spec.algorithms)
    keys = [
        key
        for key in group_keys(task, spec)
        if key.algorithm == algorithm
        and any(rule.floor for rule in applying(spec.quality, key, spec.reference, profile))
    ]
    if workload:
        known("workload with a floor of quality", workload, [key.workload for key in keys])
        keys = [key for key in keys if key.workload == workload]
    if not keys:
        raise click.UsageError(f"no workload of {task} {algorithm} has a floor of quality; add a [[quality]] rule")
    return keys[0]


def _chosen(spec: GroupSpec, members: str) -> list[str]:
    """Return the names of the members to train, the reference first."""
    names = [member.name for member in spec.members]
    asked = [each for each in members.split(",") if each]
    for name in asked:
        known("member", name, names)
    return [spec.reference, *(name for name in asked or names if name != spec.reference)]


def _trial(member: MemberRecord, seed: int, metric: str) -> Trial:
    """Return what one training came to: its first metric and its time, or why there is neither."""
    scores = [from_number(bound.value) for bound in member.quality if bound.metric == metric]
    reason = member.reason or ("" if scores else f"quality {metric} was not computed")
    if reason:
        return Trial(member.name, seed, None, None, reason)
    return Trial(member.name, seed, scores[0], member.first_call_ns)
