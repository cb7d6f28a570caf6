"""The quality of a linear model on rows that it has not seen; one function for all members.

``task.toml`` sets the floors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_duet.values import Scalar

CENTRED = ("lasso", "elasticnet")
"""The algorithms fitted to a centred target; their predictions are relative to its mean in the training part."""


def quality(
    algorithm: str,
    phase: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],
) -> dict[str, float]:
    """Return R², root mean squared error and mean absolute error on the test part, in the units of the target.

    For a trained model, the predictions are computed here from its coefficients; for a model that predicts, they are its own.
    """
    truth = np.asarray(data["y_test"])
    if phase == "train":
        predicted = np.asarray(data["X_test"]) @ outputs["coef"]
        if algorithm not in CENTRED:
            predicted = predicted + outputs["intercept"][0]
    else:
        predicted = outputs["prediction"]
    if algorithm in CENTRED:
        predicted = predicted + np.asarray(data["y_train"]).mean()
    error = truth - predicted
    return {
        "r2": float(1 - error @ error / np.square(truth - truth.mean()).sum()),
        "rmse": float(np.sqrt(np.square(error).mean())),
        "mae": float(np.abs(error).mean()),
    }


def objective(
    algorithm: str,
    outputs: Mapping[str, np.ndarray],
    data: Mapping[str, np.ndarray | Mapping[str, np.ndarray]],
    params: Mapping[str, Scalar],
) -> float:
    """Return the objective of lasso and elastic net: ‖y − Xw‖²/2n + αρ‖w‖₁ + α(1 − ρ)‖w‖²/2."""
    alpha, l1_ratio = params["alpha"], params["l1_ratio"] if algorithm == "elasticnet" else 1.0
    assert isinstance(alpha, int | float)
    assert isinstance(l1_ratio, int | float)
    coef = outputs["coef"]
    residual = np.asarray(data["y_train_centred"]) - np.asarray(data["X_train"]) @ coef
    penalty = l1_ratio * np.abs(coef).sum() + (1 - l1_ratio) * (coef @ coef) / 2
    return float(residual @ residual / (2 * len(residual)) + alpha * penalty)
