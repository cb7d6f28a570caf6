"""The quality of a head on held-out reviews and questions, and of a tokeniser on words; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..scores import classification, cross_entropy, trained_weights
from .encoder import Encoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Arrays = Mapping[str, np.ndarray]

JUDGED_AT = 48
"""The number of tokens that a held-out text is cut or padded to; the same as `data.TRAINING_TOKENS`."""


def quality(algorithm: str, phase: str, outputs: Arrays, data: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores on held-out texts, from 0 to 1, and the loss.

    For sentiment: the area under the ROC curve, accuracy, F1, precision and recall averaged over both classes (this recall is the
    balanced accuracy), and the loss. For answers: exact match and F1 as in SQuAD. For tokens: the fraction that the vocabulary
    contains. For trained weights, a forward pass computed here gives the logits; for a network that predicts, the scores are those
    of its own logits for the first texts.
    """
    if algorithm == "tokenization":
        return _known(outputs, data)
    texts = data[f"{algorithm}_test_{JUDGED_AT}"]
    logits = _logits(algorithm, outputs, data, texts) if phase == "train" else outputs["logits"]
    if algorithm == "sentiment":
        return _tone(texts["labels"][: len(logits)], logits)
    return _answers(json.loads(data["held_out_questions"])[: len(logits)], texts["offsets"], logits)


def _tone(truth: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    auc = float(roc_auc_score(truth, logits[:, 1] - logits[:, 0]))
    return {"auc": auc} | classification(truth, logits.argmax(axis=1)) | {"loss": cross_entropy(truth, logits)}


# --- answers --------------------------------------------------------------------------------------------------------------


def _answers(questions: Sequence[Mapping[str, Any]], offsets: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    """Return exact match and F1 of the spans with the highest `logits` (questions × tokens × first and last)."""
    scores = []
    for each, places, rated in zip(questions, offsets, logits, strict=False):
        start, end = _span(places, rated)
        found, wanted = each["context"][start:end], each["context"][each["start"] : each["end"]]
        scores.append((_normalised(found) == _normalised(wanted), _overlap(found, wanted)))
    exact, f1 = np.mean(scores, axis=0)
    return {"exact_match": float(exact), "f1": float(f1)}


def _span(offsets: np.ndarray, rated: np.ndarray) -> tuple[int, int]:
    """Return the characters of the best span within the context whose last token is not before its first."""
    (inside,) = np.nonzero(offsets[:, 0] >= 0)
    pairs = np.triu(rated[inside, :1] + rated[inside, 1][None], 0)
    pairs[np.tril_indices(len(inside), -1)] = -np.inf
    first, last = np.unravel_index(pairs.argmax(), pairs.shape)
    return int(offsets[inside[first], 0]), int(offsets[inside[last], 1])


def _normalised(text: str) -> str:
    """Return `text` normalised as in SQuAD: lower case, without punctuation, articles and extra spaces."""
    bare = "".join(character for character in text.lower() if character not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _overlap(found: str, wanted: str) -> float:
    """Return F1 over the words of both strings."""
    ours, theirs = _normalised(found).split(), _normalised(wanted).split()
    shared = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * shared / (len(ours) + len(theirs)) if shared else 0.0


# --- trained weights ------------------------------------------------------------------------------------------------------


def _logits(algorithm: str, outputs: Arrays, data: Mapping[str, Any], texts: Arrays) -> np.ndarray:
    """Return the logits of `texts` for the trained weights, on top of the layers that are not trained."""
    weights = trained_weights(outputs)
    frozen = Encoder(data["encoder"], json.loads(data["config"]))
    states = _frozen_states(frozen, texts)
    trained = Encoder({**frozen.weights, **weights}, frozen.config)
    states = trained.layer(frozen.layers - 1, states, texts["mask"])
    if algorithm == "sentiment":
        shares = texts["mask"] / texts["mask"].sum(axis=1, keepdims=True)
        states = np.einsum("ijk,ij->ik", states, shares.astype(np.float32))
    logits: np.ndarray = states @ weights["head.weight"].T + weights["head.bias"]
    return logits


_STATES: dict[bytes, np.ndarray] = {}
"""The held-out texts' states below the last layer, which are the same for all members and most of the work."""


def _frozen_states(encoder: Encoder, texts: Arrays) -> np.ndarray:
    parts = (*encoder.weights.values(), texts["ids"], texts["types"], texts["mask"])
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part))
    key = digest.digest()
    if key not in _STATES:
        states = encoder.embed(texts)
        for number in range(encoder.layers - 1):
            states = encoder.layer(number, states, texts["mask"])
        _STATES[key] = states
    return _STATES[key]


# --- tokens ---------------------------------------------------------------------------------------------------------------


def _known(outputs: Arrays, data: Mapping[str, Any]) -> dict[str, float]:
    vocabulary: Mapping[str, int] = json.loads(data["tokenizer"])["model"]["vocab"]
    read = outputs["tokens"]
    marks = [vocabulary[mark] for mark in ("[CLS]", "[SEP]")]
    words = read[~np.isin(read, marks)]
    return {"known": float(np.mean(words != vocabulary["[UNK]"])) if len(words) else 0.0}
