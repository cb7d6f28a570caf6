"""The encoder in numpy, with which the quality check evaluates weights independently of all members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Encoder:
    """A BERT with the given weights, under the names of Hugging Face, and its `config`."""

    weights: Arrays
    config: Mapping[str, Any]

    @property
    def layers(self) -> int:
        """Return the number of layers."""
        return int(self.config["num_hidden_layers"])

    def embed(self, texts: Arrays) -> np.ndarray:
        """Return the input of the first layer (texts × tokens × width) for ``ids`` and ``types``."""
        words, places, types = (
            self.weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        states = words[texts["ids"]] + types[texts["types"]] + places[: texts["ids"].shape[1]]
        return self._norm("embeddings.LayerNorm", states)

    def layer(self, number: int, states: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the states after layer `number`; tokens whose `mask` is 0 are ignored."""
        name = f"encoder.layer.{number}"
        states = self._norm(
            f"{name}.attention.output.LayerNorm",
            states + self._linear(f"{name}.attention.output.dense", self._attend(name, states, mask)),
        )
        inner = _gelu(self._linear(f"{name}.intermediate.dense", states))
        return self._norm(f"{name}.output.LayerNorm", states + self._linear(f"{name}.output.dense", inner))

    def _attend(self, name: str, states: np.ndarray, mask: np.ndarray) -> np.ndarray:
        texts, tokens, width = states.shape
        heads = int(self.config["num_attention_heads"])
        query, key, value = (
            self._linear(f"{name}.attention.self.{part}", states).reshape(texts, tokens, heads, -1).swapaxes(1, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(2, 3) / np.float32(np.sqrt(width / heads))
        scores = np.where(mask[:, None, None, :] == 1, scores, np.float32(-np.inf))
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return (shares @ value).swapaxes(1, 2).reshape(texts, tokens, width)

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        x = x - x.mean(axis=-1, keepdims=True)
        scale = np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(self.config["layer_norm_eps"]))
        return x / scale * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return x * (1 + erf(x / np.float32(np.sqrt(2)))) / 2
