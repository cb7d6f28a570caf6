"""The return of a trained network that acts greedily; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..control import earned, mean_return, perceptron

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

PREFIX = "weights."


def quality(
    algorithm: str,  # noqa: ARG001 - only one algorithm learns
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],  # noqa: ARG001 - the environment gives the return
) -> dict[str, float]:
    """Return the mean return of greedy episodes in Gymnasium: a step earns 1, an episode at most 500.

    For a phase that acts for some steps, it is the number of steps per finished episode.
    """
    if phase in {"environment", "predict"}:
        return {"return": earned(outputs["ends"])}
    weights = {name.removeprefix(PREFIX): each for name, each in outputs.items() if name.startswith(PREFIX)}
    return {"return": mean_return(lambda observation, _: int(perceptron(weights, observation).argmax()))}
