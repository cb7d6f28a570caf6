"""Tokenisation in transformers and in the library below it, for the tasks of language models."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import numpy as np
from tokenizers import Tokenizer

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import Implementation, JobReader, Outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedTokenizerFast

# Texts are encoded one after the other in both languages; otherwise the library would start a thread per CPU.
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def encoding(wrapper: type[PreTrainedTokenizerFast]) -> Callable[[JobReader], Encode]:
    """Return a function that prepares encoding by `wrapper`, the model's class in transformers."""
    return lambda job: Encode(job, wrapper)


class Encode(Implementation[None, list[list[int]]]):
    """Encode texts as tokens.

    The default is the wrapper of transformers; the variant ``tokenizers`` calls the library below it directly.
    """

    def __init__(self, job: JobReader, wrapper: type[PreTrainedTokenizerFast]) -> None:
        """Read the tokeniser and the texts."""
        if job.variant not in {"", "tokenizers"}:
            raise ImplementationError(f"variant {job.variant!r} is not implemented here; known variants: tokenizers")
        tokenizer = Tokenizer.from_str(job.document("tokenizer"))
        self._texts = json.loads(job.document("reviews"))
        self._direct = tokenizer if job.variant else None
        self._wrapped = wrapper(tokenizer_object=tokenizer)

    def run(self, given: None) -> list[list[int]]:  # noqa: ARG002 - there is no input to use up
        """Return the tokens of each text."""
        if self._direct:
            return [each.ids for each in self._direct.encode_batch_fast(self._texts)]
        called = self._wrapped(self._texts, return_attention_mask=False, return_token_type_ids=False)
        tokens: list[list[int]] = called["input_ids"]
        return tokens

    def outputs(self, result: list[list[int]]) -> Outputs:
        """Return all tokens one after the other (i64), and the number of tokens of each text."""
        tokens = np.concatenate([np.array(each, np.int64) for each in result])
        return Outputs({"tokens": tokens, "lengths": np.array([len(each) for each in result], np.int64)})

    def work(self) -> dict[str, int]:
        """Return the texts of one call and their bytes."""
        return {"texts": len(self._texts), "bytes": sum(len(text.encode()) for text in self._texts)}
