"""``duet learn``: train every member once a seed, and say what they earn as distributions over seeds.

Not for speed: ``pytest benches`` times members in turns. Times here are of single calls.
"""

from __future__ import annotations

import datetime as dt
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from pytest_duet import __version__
from pytest_duet.analysis.learning import Learning, Trial
from pytest_duet.analysis.learning import document as numbers
from pytest_duet.cli.common_options import benches_option, json_option, known, threads_option
from pytest_duet.errors import MemberError
from pytest_duet.records import files, store
from pytest_duet.report import learn as pages

if TYPE_CHECKING:
    from pytest_duet.binding.member import Files, Member
    from pytest_duet.spec.group import GroupSpec
    from pytest_duet.spec.resolve import GroupKey, Suite


@click.command("learn")
@click.argument("task")
@click.argument("algorithm")
@click.option("--workload", default="", help="Which data; by default the first whose quality has a floor.")
@click.option(
    "--seeds", default=10, show_default=True, type=click.IntRange(min=1), help="How many runs of each member."
)
@click.option("--member", "members", default="", help="Only these, with commas; the reference runs in any case.")
@click.option("--threshold", type=float, help="What a run must earn to arrive; by default the floor of the spec.")
@click.option("--profile", default="smoke", show_default=True, help="Which sizes and parameters.")
@threads_option
@click.option("--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Saved results.")
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
    from pytest_duet.spec.resolve import load_suite, make_group

    suite = load_suite(benches.resolve())
    known("profile", profile, suite.profiles)
    key = _key(suite, task, algorithm, workload, profile)
    folder = store.check_writable(results, store.machine())
    cache = suite.project / ".duet" / "data"
    chosen = _chosen(make_group(suite, key, profile, cache, threads=threads), members)
    learning: Learning | None = None
    with suppress(KeyboardInterrupt):
        for seed in range(seeds):
            plan = make_group(suite, key, profile, cache, threads=threads, seed=seed)
            metric, floor = next(iter(plan.limits.floor.items()))
            learning = learning or Learning(
                key.task, key.id, plan.reference, metric, floor if threshold is None else threshold
            )
            for trial in _trials(plan, chosen, metric):
                learning.trials.append(trial)
                click.echo(f"seed {seed}: {trial.member}: {trial.reason or f'{metric} {trial.score:g}'}", err=True)
    if learning is None or not learning.trials:
        raise click.Abort
    document = {"version": __version__, "profile": profile, "threads": threads, **numbers(learning)}
    content = msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=2)
    saved = _save(folder, f"{key.task}-{key.id}", content)
    click.echo(content.decode() if as_json else pages.render(learning), nl=as_json)
    click.echo(f"saved: {saved}", err=True)
    if any(trial.reason for trial in learning.trials):
        raise SystemExit(1)


def _key(suite: Suite, task: str, algorithm: str, workload: str, profile: str) -> GroupKey:
    """Return the group that learns: of those of the algorithm the first with a floor of quality."""
    from pytest_duet.spec.resolve import applying, group_keys

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


def _chosen(plan: GroupSpec, members: str) -> list[str]:
    """Return the names of the members to train, the reference first."""
    names = [member.name for member in plan.members]
    asked = [each for each in members.split(",") if each]
    for name in asked:
        known("member", name, names)
    return [plan.reference, *(name for name in asked or names if name != plan.reference)]


def _trials(plan: GroupSpec, names: list[str], metric: str) -> list[Trial]:
    from pytest_duet.measure.group import obtain_files

    files = obtain_files(plan)
    return [_trial(plan, name, files, metric) for name in names]


def _trial(plan: GroupSpec, name: str, files: Files, metric: str) -> Trial:
    """Train one member once; what goes wrong is its own."""
    from pytest_duet.binding.member import Member

    member = Member(plan.member(name))
    try:
        with ExitStack() as stack:
            score, elapsed_ns = _train(plan, member, files, metric, stack)
    except MemberError as error:
        return Trial(name, plan.seed, None, None, str(error))
    return Trial(name, plan.seed, score, elapsed_ns)


def _train(plan: GroupSpec, member: Member, files: Files, metric: str, stack: ExitStack) -> tuple[float, int]:
    from pytest_duet.binding import member as step

    step.enter(member, plan, stack)
    step.prepare(member, plan, files, for_quality=True)
    reply, outputs = step.verify(member)
    return float(step.qualities(plan, outputs, files)[metric]), reply.elapsed_ns


def _save(folder: Path, name: str, content: bytes) -> Path:
    # In a folder of its own: what lies beside runs is taken for a run.
    stamp = re.sub(r"[-:]", "", dt.datetime.now(tz=dt.UTC).isoformat(timespec="microseconds").partition("+")[0])
    path = folder / "learning" / f"{stamp}-{name}.json"
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise files.unwritable(path.parent, error) from error
    files.write_whole(path, content + b"\n")
    return path
