"""The return of a trained policy that draws its actions; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..control import earned, mean_return, perceptron

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

PREFIX = "weights."


def quality(
    algorithm: str,  # noqa: ARG001 - there is only one
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],  # noqa: ARG001 - the environment gives the return
) -> dict[str, float]:
    """Return the mean return of episodes in Gymnasium: a step earns 1, an episode at most 500.

    For a phase that acts for some steps, it is the number of steps per finished episode.
    """
    if phase == "predict":
        return {"return": earned(outputs["ends"])}
    weights = {name.removeprefix(PREFIX): each for name, each in outputs.items() if name.startswith(PREFIX)}

    def policy(observation: NDArray[np.float32], rng: np.random.Generator) -> int:
        left, right = perceptron(weights, observation)
        return int(rng.random() < 1 / (1 + np.exp(left - right)))

    return {"return": mean_return(policy)}
