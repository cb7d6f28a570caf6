"""The recurrent networks in PyTorch, as in its tutorials; ``networks`` trains and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..networks import implementations

if TYPE_CHECKING:
    from ..networks import Build, Weights


class Classifier(nn.Module):
    """A recurrent layer and a linear layer that reads its state after the last step."""

    def __init__(self, layer: type[nn.LSTM | nn.GRU | nn.RNN], weights: Weights) -> None:
        """Build layers of the sizes of `weights`, which are loaded later."""
        super().__init__()
        classes, hidden = weights["fc.weight"].shape
        self.rnn = layer(weights["rnn.weight_ih_l0"].shape[1], hidden, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the logits (sequences × classes) of sequences × steps × features."""
        states, _ = self.rnn(sequences)
        logits: torch.Tensor = self.fc(states[:, -1])
        return logits


def _of(layer: type[nn.LSTM | nn.GRU | nn.RNN]) -> Build:
    return lambda weights: Classifier(layer, weights)


IMPLEMENTATIONS = implementations({"lstm": _of(nn.LSTM), "gru": _of(nn.GRU), "rnn": _of(nn.RNN)})
