"""Calls of one PyTorch operator from a loop in Python."""

from __future__ import annotations

import torch

from pytest_duet.implementation import Implementation, JobReader, Outputs


class Add(Implementation[None, torch.Tensor]):
    """Add a vector to another repeatedly."""

    def __init__(self, job: JobReader) -> None:
        """Read both vectors and the number of additions."""
        self._start, self._step = (torch.tensor(job.array(name)) for name in ("start", "step"))
        self._calls = job.integer("calls")

    def run(self, given: None) -> torch.Tensor:  # noqa: ARG002 - there is no input to use up
        """Return the sum."""
        x, step = self._start, self._step
        for _ in range(self._calls):
            x = x + step
        return x

    def outputs(self, result: torch.Tensor) -> Outputs:
        """Return the sum (elements,)."""
        return Outputs({"sum": result.numpy()})

    def work(self) -> dict[str, int]:
        """Return the number of operator calls."""
        return {"calls": self._calls}


IMPLEMENTATIONS = {("add", "call"): Add}
