"""What the trained network earns when it acts greedily; one function for all members.

Not for deciding what is good enough: ``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..control import earned, mean_return, perceptron

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

PREFIX = "weights."


def quality(
    algorithm: str,  # noqa: ARG001 - there is one that learns
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],  # noqa: ARG001 - the world is the judge
) -> dict[str, float]:
    """Return the mean return of greedy episodes in gymnasium: a step earns 1, an episode 500 at most.

    What acts for some steps, or is told how to, earns those by episodes that ended.
    """
    if phase in {"environment", "predict"}:
        return {"return": earned(outputs["ends"])}
    weights = {name.removeprefix(PREFIX): each for name, each in outputs.items() if name.startswith(PREFIX)}
    return {"return": mean_return(lambda observation, _: int(perceptron(weights, observation).argmax()))}
