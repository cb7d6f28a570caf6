"""The encoder of transformers with a head, as users write it, and its tokeniser."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from transformers import BertConfig, BertModel, BertTokenizerFast
from transformers.utils.logging import disable_progress_bar

from pytest_duet.implementation import InputT, JobReader, Outputs, OutputT

from ..networks import OnDevice, Tensors, training_outputs
from ..tokenisers import encoding

if TYPE_CHECKING:
    Learner = tuple["Network", torch.optim.Adam]
    Trained = tuple["Network", list[float]]

disable_progress_bar()


@dataclass(frozen=True)
class Texts:
    """Encoded texts (texts × tokens): token ids, token types, and the mask of tokens that are not padding."""

    ids: torch.Tensor
    types: torch.Tensor
    mask: torch.Tensor

    def rows(self, rows: torch.Tensor) -> Texts:
        """Return some of the texts."""
        return Texts(*(each.index_select(0, rows) for each in (self.ids, self.types, self.mask)))

    def first(self, count: int) -> Texts:
        """Return the first `count` texts; there must be at least `count`."""
        return Texts(*(each.narrow(0, 0, count) for each in (self.ids, self.types, self.mask)))


class Network(nn.Module):
    """The encoder and a linear head, over the mean of all tokens (`pooled`) or over each."""

    def __init__(self, config: BertConfig, weights: Tensors, head: Tensors, *, pooled: bool) -> None:
        """Load the weights; those below the last layer are not trainable."""
        super().__init__()
        self.encoder = BertModel.from_pretrained(
            None, config=config, state_dict=dict(weights), add_pooling_layer=False, attn_implementation="sdpa"
        )
        self.pooled = pooled
        classes, width = head["head.weight"].shape
        self.head = nn.Linear(width, classes)
        self.head.load_state_dict({name.removeprefix("head."): each for name, each in head.items()})
        last = f"encoder.layer.{config.num_hidden_layers - 1}."
        for name, each in self.encoder.named_parameters():
            each.requires_grad_(name.startswith(last))
        # Train without dropout too, because libraries cannot draw the same random numbers.
        self.eval()

    def forward(self, texts: Texts) -> torch.Tensor:
        """Return the logits: texts × classes, or texts × tokens × 2."""
        read = self.encoder(input_ids=texts.ids, attention_mask=texts.mask, token_type_ids=texts.types)
        states = read.last_hidden_state
        if self.pooled:
            there = texts.mask.unsqueeze(-1).to(states.dtype)
            states = (states * there).sum(1) / there.sum(1)
        logits: torch.Tensor = self.head(states)
        return logits

    def loss(self, texts: Texts, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy of the classes, or of the first and last tokens of the answers."""
        logits = self(texts)
        if self.pooled:
            return functional.cross_entropy(logits, labels)
        first, last = logits.unbind(-1)
        return (functional.cross_entropy(first, labels[:, 0]) + functional.cross_entropy(last, labels[:, 1])) / 2

    def trainable(self) -> dict[str, nn.Parameter]:
        """Return the trainable parameters, under the names in the files."""
        named = dict(self.encoder.named_parameters())
        named |= {f"head.{name}": each for name, each in self.head.named_parameters()}
        return {name: each for name, each in named.items() if each.requires_grad}

    def copied(self) -> Network:
        """Return a copy that shares the parameters that are not trainable."""
        shared = {id(each): each for each in self.parameters() if not each.requires_grad}
        return copy.deepcopy(self, shared)


class _Reading(OnDevice[InputT, OutputT]):
    """A job with an encoder and texts on its device."""

    def __init__(self, job: JobReader, start: str) -> None:
        """Load the encoder and data file `start`: the head and any trained weights of the encoder."""
        super().__init__(job)
        config = BertConfig.from_dict(json.loads(job.document("config")))
        weights, trained = _tensors(job, "encoder"), _tensors(job, start)
        head = {name: each for name, each in trained.items() if name.startswith("head.")}
        weights |= {name: each for name, each in trained.items() if name not in head}
        network = Network(config, weights, head, pooled=job.algorithm == "sentiment")
        self._network = network.to(self._device)

    def _texts(self, tensors: Tensors) -> Texts:
        return Texts(*(tensors[name].to(self._device) for name in ("ids", "types", "mask")))


class Train(_Reading["Learner", "Trained"]):
    """Take the first steps of training the last layer and the head, one batch per step."""

    def __init__(self, job: JobReader) -> None:
        """Read texts, labels, batches and initial weights."""
        super().__init__(job, f"{job.algorithm}_head")
        self._rate = job.number("learning_rate")
        given = _tensors(job, f"{job.algorithm}_train")
        self._all, self._labels = self._texts(given), given["labels"].to(self._device)
        # Unlike a slice, `narrow` fails if there are fewer batches than steps.
        self._batches = self._tensor(f"{job.algorithm}_batches").narrow(0, 0, job.integer("steps")).unbind()

    def fresh(self) -> Learner:
        """Return a copy of the trainable parameters and a new optimiser; a step changes both."""
        network = self._network.copied()
        return network, torch.optim.Adam(network.trainable().values(), lr=self._rate)

    def run(self, given: Learner) -> Trained:
        """Return the trained network and the loss before each step; reading the loss is part of the step, as for a log."""
        network, optimizer = given
        return network, [self._step(network, optimizer, rows) for rows in self._batches]

    def _step(self, network: Network, optimizer: torch.optim.Adam, rows: torch.Tensor) -> float:
        texts, labels = self._all.rows(rows), self._labels.index_select(0, rows)
        optimizer.zero_grad()
        loss = network.loss(texts, labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
        return loss.item()

    def outputs(self, result: Trained) -> Outputs:
        """Return the trained parameters, the loss of each step (steps,), and the effect of the first step alone.

        The first step is repeated outside the timed region: the logits before it, its loss (1,), each gradient, and each parameter
        after it.
        """
        network, losses = result
        first, optimizer = self.fresh()
        with torch.inference_mode():
            logits = first(self._all.rows(self._batches[0]))
        first_loss = self._step(first, optimizer, self._batches[0])
        trained = training_outputs(network.trainable(), losses, first.trainable(), first_loss, first.trainable())
        return Outputs({**trained.arrays, "first_logits": logits.numpy(force=True)}, loss=losses)

    def work(self) -> dict[str, int]:
        """Return the steps, the texts and the tokens of one call; padding does not count."""
        rows = torch.cat(self._batches)
        tokens = int(self._all.rows(rows).mask.sum())
        return {"steps": len(self._batches), "samples": len(rows), "tokens": tokens}


class Predict(_Reading[None, torch.Tensor]):
    """Run the encoder and its trained head forward over one batch."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the first `batch` held-out texts, each cut or padded to `tokens`."""
        super().__init__(job, "checkpoint")
        texts = self._texts(_tensors(job, f"{job.algorithm}_test_{job.integer('tokens')}"))
        self._batch = texts.first(job.integer("batch"))

    def run(self, given: None) -> torch.Tensor:  # noqa: ARG002 - there is no input to use up
        """Return the logits (batch × classes, or batch × tokens × 2)."""
        with torch.inference_mode():
            logits: torch.Tensor = self._network(self._batch)
        return logits

    def outputs(self, result: torch.Tensor) -> Outputs:
        """Return the logits."""
        return Outputs({"logits": result.numpy(force=True)})

    def work(self) -> dict[str, int]:
        """Return the texts and the tokens of one call; padding does not count."""
        return {"samples": len(self._batch.ids), "tokens": int(self._batch.mask.sum())}


def _tensors(job: JobReader, name: str) -> dict[str, torch.Tensor]:
    return {key: torch.tensor(array) for key, array in job.tensors(name).items()}


IMPLEMENTATIONS = {
    ("sentiment", "train"): Train,
    ("sentiment", "predict"): Predict,
    ("question_answering", "train"): Train,
    ("question_answering", "predict"): Predict,
    ("tokenization", "encode"): encoding(BertTokenizerFast),
}
