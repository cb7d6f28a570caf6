"""The perplexity of a model on held-out text, and the margin of the tokens it generated; one function for all members.

``task.toml`` sets the limits.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from ..scores import cross_entropy, trained_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    Weights = Mapping[str, np.ndarray]

JUDGED = 128
"""Number of windows of text in the quality of trained weights."""


def quality(
    algorithm: str,
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray] | str],
) -> dict[str, float]:
    """Return the perplexity of held-out text, the smallest lead of a generated token, or the bytes per token.

    For trained weights, a forward pass computed here, independently of all members, gives the logits.
    """
    if algorithm == "tokenization":
        size = sum(len(text.encode()) for text in json.loads(str(data["reviews"])))
        return {"bytes_per_token": size / len(outputs["tokens"])}
    if phase == "generate":
        return _lead(outputs["tokens"], outputs["logits"])
    windows = np.asarray(data["x_test"])
    logits = outputs["logits"] if phase == "predict" else _trained(outputs, windows[:JUDGED], str(data["config"]))
    following, predicted = windows[: len(logits), 1:], logits[:, :-1]
    loss = cross_entropy(following.reshape(-1), predicted.reshape(-1, predicted.shape[-1]))
    return {"perplexity": float(np.exp(loss))}


def _lead(tokens: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return the smallest lead of the likeliest token over the second, and the fraction of tokens that were the likeliest.

    If the lead is as small as rounding errors, two members agree on a token only by chance.
    """
    second, first = np.partition(logits, -2, axis=1)[:, -2:].T
    return {"lead": float((first - second).min()), "greedy": float((logits.argmax(axis=1) == tokens).mean())}


def _trained(outputs: Mapping[str, np.ndarray], windows: np.ndarray, config: str) -> np.ndarray:
    known = json.loads(config)
    return forward(trained_weights(outputs), windows, known["n_head"], known["layer_norm_epsilon"])


def forward(weights: Weights, windows: np.ndarray, heads: int, epsilon: float) -> np.ndarray:
    """Return the logits (windows × positions × vocabulary) of GPT-2 with `weights`, computed in numpy."""
    length = windows.shape[1]
    x = weights["wte.weight"][windows] + weights["wpe.weight"][:length]
    for layer in range(sum(name.endswith("ln_1.weight") for name in weights)):
        of = f"h.{layer}."
        x = x + _attention(weights, f"{of}attn.", _norm(weights, f"{of}ln_1", x, epsilon), heads)
        inner = _linear(weights, f"{of}mlp.c_fc", _norm(weights, f"{of}ln_2", x, epsilon))
        activated = 0.5 * inner * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
        x = x + _linear(weights, f"{of}mlp.c_proj", activated)
    return _norm(weights, "ln_f", x, epsilon) @ weights["wte.weight"].T


def _linear(weights: Weights, name: str, x: np.ndarray) -> np.ndarray:
    return x @ weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _norm(weights: Weights, name: str, x: np.ndarray, epsilon: float) -> np.ndarray:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _attention(weights: Weights, of: str, x: np.ndarray, heads: int) -> np.ndarray:
    count, length, width = x.shape
    parts = np.split(_linear(weights, f"{of}c_attn", x), 3, axis=-1)
    q, k, v = (part.reshape(count, length, heads, -1).swapaxes(1, 2) for part in parts)
    scores = q @ k.swapaxes(2, 3) / np.sqrt(np.float32(width // heads))
    scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return _linear(weights, f"{of}c_proj", (shares @ v).swapaxes(1, 2).reshape(x.shape))
