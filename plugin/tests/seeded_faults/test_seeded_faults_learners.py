"""Faults seeded into reinforcement learning in the real task folders: no learning, an invented loss and constant actions are refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_duet.binding.bind import bind
from pytest_duet.ids import GroupKey
from pytest_duet.session import run_group
from pytest_duet.spec.resolve import group_spec
from pytest_duet.spec.suite import load_suite

if TYPE_CHECKING:
    from pytest_duet.records.schema import MemberRecord

pytest.importorskip("torch", reason="the task folders of reinforcement learning need PyTorch")
pytest.importorskip("gymnasium", reason="the task folders of reinforcement learning need Gymnasium")

BENCHES = Path(__file__).parents[3] / "benches"
ALGORITHMS = {"dqn": "dqn", "policy_gradient": "reinforce"}

# Each changes one thing of the honest loop.
FAKES = {
    "never_learns": """
class Fake(Train):
    def fresh(self):
        learner = super().fresh()
        learner.optimizer.step = lambda: None
        return learner
""",
    "invents_loss": """
class Fake(Train):
    def run(self, given):
        run = super().run(given)
        run.losses = [1 / (1 + number) for number in range(len(run.losses))]
        return run
""",
    "always_the_same": """
class Fake(Train):
    def run(self, given):
        run = super().run(given)
        run.actions = [1] * len(run.actions)
        return run
""",
    "returns_initial_weights": """
class Fake(Train):
    def run(self, given):
        run = super().run(given)
        run.learner = self.fresh()
        return run
""",
}


def _task_folder(root: Path, task: str, members: dict[str, str]) -> Path:
    """Write a copy of task folder `task` with the honest loop and `members`, name → role; return the folder of task folders."""
    benches = root / "benches"
    shutil.copytree(BENCHES / task, benches / task, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("recipes.py", "control.py", "networks.py", "profiles.toml"):
        shutil.copy(BENCHES / name, benches)
    spec = (BENCHES / task / "task.toml").read_text()
    before, _, rules = spec.partition("\n[members.torch]")
    # A rule for a single member is for one that does not take part; the others apply to all.
    kept = [
        block
        for block in rules.split("\n\n")
        if not re.search(r'^(role|why|\[members)|member = "', block, re.MULTILINE)
    ]
    rules = re.sub(r"member = \[.*\]", 'member = "*"', "\n\n".join(kept))
    written = "".join(f'\n[members.{name}]\nrole = "{role}"\n' for name, role in members.items())
    (benches / task / "task.toml").write_text(before + written + "\n" + rules)
    frameworks = "".join(f'[{name}]\ntitle = "{name}"\nlanguage = "python"\n' for name in members)
    (benches / "frameworks.toml").write_text(frameworks)
    for name in members:
        if name != "torch":
            source = f"from .impl_torch import Train\n\n{FAKES[name]}\n\nIMPLEMENTATIONS = {{({ALGORITHMS[task]!r}, 'train'): Fake}}\n"
            (benches / task / f"impl_{name}.py").write_text(source)
    return benches


def _verified(benches: Path, task: str, workload: str) -> dict[str, MemberRecord]:
    suite = load_suite(benches)
    group = bind(
        group_spec(suite, GroupKey(task, ALGORITHMS[task], "train", workload), "smoke"),
        suite.benches,
        benches.parent / "data",
    )
    record = run_group(group, selected=[member.name for member in group.spec.members], timed=False)
    return {member.name: member for member in record.members}


@pytest.mark.parametrize("task", ALGORITHMS)
def test_a_fault_fails_parity_in_the_output_that_it_changes(task: str, tmp_path: Path) -> None:
    roles = {"torch": "reference"} | dict.fromkeys(FAKES, "rival")

    members = _verified(_task_folder(tmp_path, task, roles), task, "scripted")

    where = {
        "never_learns": "output '(loss|weights|first_weights)",
        "invents_loss": "output 'loss'",
        "always_the_same": "output 'actions'",
        "returns_initial_weights": "output 'weights",
    }
    assert "ok" == members["torch"].status, members["torch"].reason
    for name, output in where.items():
        assert "failed" == members[name].status
        assert re.search(f"parity with torch failed: {output}", members[name].reason), members[name].reason


@pytest.mark.parametrize("task", ALGORITHMS)
def test_a_policy_that_acts_by_chance_is_refused_even_as_the_reference(task: str, tmp_path: Path) -> None:
    members = _verified(_task_folder(tmp_path, task, {"never_learns": "reference"}), task, "free")

    assert "failed" == members["never_learns"].status
    assert re.search("quality return .* is below its floor", members["never_learns"].reason)
