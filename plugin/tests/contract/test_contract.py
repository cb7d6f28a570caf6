"""The spec files of the real benches agree with the code, and a new task needs no change of the package."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pytest_duet.ids import GroupKey, framework_of
from pytest_duet.records.store import load
from pytest_duet.spec.launch import launch_spec
from pytest_duet.spec.suite import applying, group_keys, load_suite, member_names
from pytest_duet.workers.client import Client
from pytest_duet.workers.process import spawn

PROJECT = Path(__file__).resolve().parents[3]
BENCHES = PROJECT / "benches"
SUITE = load_suite(BENCHES)
SECONDS = 60.0

PYTHON = [name for name, framework in SUITE.frameworks.items() if framework.language == "python"]
RUST = [name for name, framework in SUITE.frameworks.items() if framework.language == "rust"]

Capabilities = set[tuple[str, str, str]]


def named(framework: str) -> Capabilities:
    """Return (task, algorithm, phase) of every sound case that the specs name for `framework`."""
    found = set()
    for name, task in SUITE.tasks.items():
        for key, profile in itertools.product(group_keys(name, task), SUITE.profiles):
            for member in member_names(task, key.algorithm, key.phase, key.workload, profile):
                if framework_of(member) == framework and not _unsound(key, member):
                    found.add((name, key.algorithm, key.phase))
    return found


def _unsound(key: GroupKey, member: str) -> bool:
    return bool(applying(SUITE.tasks[key.task].unsound, key, member, "smoke"))


def described(framework: str) -> Capabilities:
    """Return (task, algorithm, phase) of everything the worker of `framework` says it can do."""
    how = launch_spec(SUITE, framework, threads=1)
    if how.missing:
        pytest.skip(how.missing)
    channel = spawn(how.argv, name=framework, environment=how.environment, build=how.build)
    client = Client(channel, framework, seconds=SECONDS)
    try:
        client.hello()
        return {(each.task, each.algorithm, each.phase) for each in client.describe()}
    finally:
        client.close()


@pytest.mark.parametrize("framework", [*PYTHON, *RUST])
def test_workers_implement_exactly_what_the_specs_name(framework: str) -> None:
    assert named(framework) == described(framework)


@pytest.mark.parametrize("framework", [*PYTHON, *RUST])
def test_every_framework_has_a_task(framework: str) -> None:
    members = {framework_of(member) for task in SUITE.tasks.values() for member in task.members}

    assert framework in members


@pytest.mark.parametrize("framework", RUST)
def test_every_rust_framework_is_a_crate_of_its_name(framework: str) -> None:
    manifest = PROJECT / "rust_crates" / "frameworks" / framework / "Cargo.toml"

    assert f"duet-{framework}" == tomllib.loads(manifest.read_text())["package"]["name"]


def test_every_crate_is_a_framework_of_the_specs() -> None:
    folders = {path.parent.name for path in (PROJECT / "rust_crates" / "frameworks").glob("*/Cargo.toml")}

    assert set(RUST) == folders


@pytest.mark.parametrize(
    "path", sorted(BENCHES.glob("*/impl_*.py")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_every_implementation_file_belongs_to_a_member(path: Path) -> None:
    framework = path.stem.removeprefix("impl_")

    assert framework in {framework_of(member) for member in SUITE.tasks[path.parent.name].members}


@pytest.mark.parametrize("path", sorted(BENCHES.glob("*/")), ids=lambda path: path.name)
def test_every_task_folder_has_all_its_files(path: Path) -> None:
    if path.name == "__pycache__":
        pytest.skip("no task folder")
    needed = {"task.toml", "data.py", f"bench_{path.name}.py"}
    if SUITE.tasks[path.name].quality:
        needed.add("quality.py")

    assert set() == needed - {each.name for each in path.iterdir()}


REPRODUCERS = sorted({rule.reproducer for task in SUITE.tasks.values() for rule in task.unsound})


@pytest.mark.parametrize("reproducer", REPRODUCERS)
def test_every_reproducer_is_a_test_that_exists(reproducer: str) -> None:
    file, _, function = reproducer.partition("::")
    text = (PROJECT / file).read_text()
    pattern = rf"#\[test\]\s*(?:#\[[^\]]*\]\s*)*fn {function}\(" if file.endswith(".rs") else rf"^def {function}\("

    assert re.search(pattern, text, re.MULTILINE)


def test_every_python_framework_has_the_extra_it_names() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    named_extras = {SUITE.frameworks[name].extra for name in PYTHON} - {""}

    assert set() == named_extras - set(project["optional-dependencies"])


# --- a new task folder ------------------------------------------------------------------------------------------------

TASK = {
    "task.toml": """\
title = "Sums"
why = "A task that no line of the plugin knows."
phases = ["train"]
dtype = "f64"

[algorithms.sum]
why = "Add up."

[workloads.numbers]
why = "Some."
data = { count = 50_000 }

[members.sklearn]
role = "reference"

[members.stranger]

[[quality]]
ceiling = { error = 1e-6 }

[[parity]]
output = "*"
tolerance = 1e-12
""",
    "data.py": """\
def make(params, rng):
    return {"x": rng.standard_normal(params["count"])}
""",
    "quality.py": """\
def quality(algorithm, phase, outputs, data):
    return {"error": float(abs(outputs["total"][0] - data["x"].sum()))}
""",
    "bench_sums.py": """\
from pytest_duet import cases


@cases(__file__)
def bench_sums(duet):
    duet()
""",
    "impl_sklearn.py": """\
import numpy as np

from pytest_duet.implementation import Implementation, Outputs


class Sum(Implementation):
    def __init__(self, job):
        self.x = job.array("x")

    def run(self, given):
        return self.x.sum()

    def outputs(self, result):
        return Outputs({"total": np.array([result, 1.0])})


IMPLEMENTATIONS = {("sum", "train"): Sum}
""",
}

FRAMEWORK = """
[stranger]
title = "A stranger"
language = "python"
command = ["{python}", "{root}/stranger.py"]
"""

STRANGER = """\
from pathlib import Path

from pytest_duet.spec.schema import Framework
from pytest_duet.workers.python import framework_host
from pytest_duet.workers.serve import serve

serve(framework_host(Path(__file__).parent / "elsewhere", "stranger", Framework(title="A stranger", language="python")))
"""

PROFILES = "[smoke]\ngroup_seconds = 0.3\nobserve_seconds = 0.05\nrequest_seconds = 60.0\n"


def test_a_task_and_a_framework_are_added_by_files_alone(tmp_path: Path) -> None:
    benches = tmp_path / "benches"
    shutil.copytree(BENCHES, benches, ignore=shutil.ignore_patterns("__pycache__"))
    (benches / "sums").mkdir()
    for name, text in TASK.items():
        (benches / "sums" / name).write_text(text)
    with (benches / "frameworks.toml").open("a") as file:
        file.write(FRAMEWORK)
    (benches / "profiles.toml").write_text(
        PROFILES + PROFILES.replace("smoke", "standard") + PROFILES.replace("smoke", "full")
    )
    other = tmp_path / "elsewhere" / "sums"
    other.mkdir(parents=True)
    (other / "impl_stranger.py").write_text(TASK["impl_sklearn.py"].replace("self.x.sum()", "np.add.reduce(self.x)"))
    (tmp_path / "stranger.py").write_text(STRANGER)
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = bench_*.py\npython_functions = bench_*\n")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benches", "--duet-task=sums", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = tmp_path.glob("results/*/*.json")
    (group,) = load(path).groups
    assert {member.name: member.status for member in group.members} == {"sklearn": "ok", "stranger": "ok"}
    (comparison,) = load(path).comparisons
    assert comparison.ratio is not None
    assert comparison.verdict in {"faster", "slower", "equivalent", "inconclusive"}
