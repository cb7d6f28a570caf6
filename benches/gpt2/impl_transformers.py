"""GPT-2 in transformers, in eager mode: training, prediction and generation as in its documentation.

Tokens and initial weights are files, so every member starts from and reads the same ones.
"""

from __future__ import annotations

import copy
import json
import time
from typing import TYPE_CHECKING

import torch
from transformers import (
    DynamicCache,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)
from transformers.generation.streamers import BaseStreamer

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import InputT, JobReader, Outputs, OutputT

from ..networks import OnDevice, training_outputs
from ..tokenisers import encoding

if TYPE_CHECKING:
    Learner = tuple[GPT2LMHeadModel, torch.optim.AdamW]
    Trained = tuple[GPT2LMHeadModel, list[float]]
    Written = tuple[torch.Tensor, list[torch.Tensor], dict[str, int]]


class _Model(OnDevice[InputT, OutputT]):
    """A job with a model on its device."""

    def __init__(self, job: JobReader, weights: str) -> None:
        """Load the weights of data file `weights` into the model that the job's configuration describes."""
        super().__init__(job)
        config = json.loads(job.document("config"))
        # No dropout and no end token, so that all members do the same amount of work.
        none = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0)
        model = GPT2LMHeadModel(GPT2Config(**config, **none, bos_token_id=None, eos_token_id=None))
        arrays = {name: torch.from_numpy(array) for name, array in job.tensors(weights).items()}
        model.transformer.load_state_dict(arrays)
        if model.lm_head.weight is not model.transformer.wte.weight:
            raise ImplementationError(
                "the head is not the embedding; install the transformers that pyproject.toml names"
            )
        self._model = model.to(self._device).eval()


class Train(_Model["Learner", "Trained"]):
    """Take the first steps of training from given weights, one batch per step."""

    def __init__(self, job: JobReader) -> None:
        """Read windows of text, batches, the learning rate of each step and initial weights."""
        super().__init__(job, "initial")
        self._initial = self._model.train()
        steps = job.integer("steps")
        self._windows = self._tensor("x_train")
        # Unlike a slice, `narrow` fails if there are fewer batches than steps.
        self._batches = self._tensor("batches").narrow(0, 0, steps).unbind()
        self._rates = job.array("rates")[:steps].tolist()
        self._decay = job.number("weight_decay")

    def fresh(self) -> Learner:
        """Return an untrained copy of the model and a new optimiser; a step changes both."""
        model = copy.deepcopy(self._initial)
        return model, torch.optim.AdamW(model.parameters(), weight_decay=self._decay)

    def run(self, given: Learner) -> Trained:
        """Return the trained model and the loss before each step; reading the loss is part of the step, as for a log."""
        model, optimizer = given
        steps = zip(self._batches, self._rates, strict=True)
        return model, [self._step(model, optimizer, rows, rate) for rows, rate in steps]

    def _step(self, model: GPT2LMHeadModel, optimizer: torch.optim.AdamW, rows: torch.Tensor, rate: float) -> float:
        windows = self._windows.index_select(0, rows)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = model(windows, labels=windows, use_cache=False).loss
        loss.backward()
        optimizer.step()
        return float(loss.item())

    def outputs(self, result: Trained) -> Outputs:
        """Return every weight, the loss of each step (steps,), and the effect of the first step alone.

        The first step is repeated outside the timed region: its loss (1,), each gradient, and each weight after it.
        """
        model, losses = result
        first, optimizer = self.fresh()
        first_loss = self._step(first, optimizer, self._batches[0], self._rates[0])
        named = dict(first.transformer.named_parameters())
        return training_outputs(
            model.transformer.state_dict(), losses, first.transformer.state_dict(), first_loss, named
        )

    def work(self) -> dict[str, int]:
        """Return the tokens and the steps of one call."""
        read = sum(len(rows) for rows in self._batches) * self._windows.shape[1]
        return {"tokens": read, "steps": len(self._batches)}


class Predict(_Model[None, "tuple[torch.Tensor, torch.Tensor]"]):
    """Read some windows of held-out text and compute how well the model predicts each next token."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the first `batch` windows."""
        super().__init__(job, job.text("weights"))
        self._windows = self._tensor("x_test").narrow(0, 0, job.integer("batch"))

    def run(self, given: None) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ARG002 - there is no input to use up
        """Return the logits (windows × positions × vocabulary) and their mean cross entropy with the next tokens."""
        with torch.inference_mode():
            read = self._model(self._windows, labels=self._windows, use_cache=False)
        return read.logits, read.loss

    def outputs(self, result: tuple[torch.Tensor, torch.Tensor]) -> Outputs:
        """Return the logits, and the loss (1,)."""
        logits, loss = result
        return Outputs({"logits": logits.numpy(force=True), "loss": loss.reshape(1).numpy(force=True)})

    def work(self) -> dict[str, int]:
        """Return the tokens of one call."""
        return {"tokens": self._windows.numel()}


class _Watch(BaseStreamer):
    """Records the time of the first token; ``generate`` passes it the prompt first, then every token."""

    def __init__(self) -> None:
        """Start with no tokens."""
        self.seen: list[int] = []

    def put(self, value: torch.Tensor) -> None:  # noqa: ARG002 - only its time matters
        """Record the times of the prompt and of the first token."""
        if len(self.seen) < 2:  # noqa: PLR2004 - the prompt and the first token
            self.seen.append(time.perf_counter_ns())

    def end(self) -> None:
        """Do nothing: the caller measures the end."""


class Generate(_Model[None, "Written"]):
    """Greedy generation from a prompt, with a cache of keys and values."""

    def __init__(self, job: JobReader) -> None:
        """Read the weights and the prompt: the first `prompt` tokens of one window."""
        super().__init__(job, job.text("weights"))
        self._prompt = self._tensor("x_test").narrow(0, job.integer("window"), 1).narrow(1, 0, job.integer("prompt"))
        self._mask = torch.ones_like(self._prompt)
        self._count = job.integer("new_tokens")
        self._write = {"": self._generate, "loop": self._loop}.get(job.variant)
        if self._write is None:
            raise ImplementationError(f"variant {job.variant!r} is not implemented here; known variants: loop")
        self._config = GenerationConfig(
            max_new_tokens=self._count,
            min_new_tokens=self._count,
            do_sample=False,
            pad_token_id=0,
            output_logits=True,
            return_dict_in_generate=True,
        )

    def run(self, given: None) -> Written:  # noqa: ARG002 - there is no input to use up
        """Return the new tokens, the logits of each, and how long the first and the later ones took."""
        assert self._write is not None
        with torch.inference_mode():
            return self._write()

    def _generate(self) -> Written:
        watch = _Watch()
        start = time.perf_counter_ns()
        written = self._model.generate(
            self._prompt, attention_mask=self._mask, generation_config=self._config, streamer=watch
        )
        end = time.perf_counter_ns()
        tokens = written.sequences[0, self._prompt.shape[1] :]
        return tokens, list(written.logits), _spans(start, watch.seen[1], end)

    def _loop(self) -> Written:
        """Do the part of ``generate`` that this task needs."""
        start = first = time.perf_counter_ns()
        cache = DynamicCache(config=self._model.config)
        read, tokens, logits = self._prompt, [], []
        for step in range(self._count):
            last = self._model(read, cache=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
            read = last.argmax(dim=-1, keepdim=True)
            tokens.append(read)
            logits.append(last)
            if step == 0:
                first = time.perf_counter_ns()
        return torch.cat(tokens, dim=1)[0], logits, _spans(start, first, time.perf_counter_ns())

    def outputs(self, result: Written) -> Outputs:
        """Return the new tokens (i64) and the logits of each (tokens × vocabulary)."""
        tokens, logits, _ = result
        return Outputs({"tokens": tokens.numpy(force=True), "logits": torch.cat(logits).numpy(force=True)})

    def spans(self, result: Written) -> dict[str, int]:
        """Return how long the first token took, and all later ones."""
        return result[2]

    def work(self) -> dict[str, int]:
        """Return the number of tokens that one call generates."""
        return {"tokens": self._count}


def _spans(start: int, first: int, end: int) -> dict[str, int]:
    return {"first_token": first - start, "later_tokens": end - first}


IMPLEMENTATIONS = {
    ("language_modeling", "train"): Train,
    ("language_modeling", "predict"): Predict,
    ("generation", "generate"): Generate,
    ("tokenization", "encode"): encoding(PreTrainedTokenizerFast),
}
