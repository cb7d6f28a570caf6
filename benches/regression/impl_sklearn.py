"""The linear models in scikit-learn, called as users call them. The data are already split and standardised."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge

from pytest_duet.implementation import Implementation, JobReader, Outputs

from ..estimators import Fit, Predict, variant_of

if TYPE_CHECKING:
    from collections.abc import Callable

CENTRED = ("lasso", "elasticnet")
"""The algorithms that every member fits to a centred target, without an intercept."""


def _build(job: JobReader) -> Callable[[], Any]:
    """Return a function that builds an unfitted estimator with the job's parameters.

    None of the estimators changes its inputs: `copy_X` has its default, and without an intercept nothing is centred.
    """
    match job.algorithm:
        case "linear":
            return partial(LinearRegression)
        case "ridge":
            return partial(Ridge, alpha=job.number("alpha"), solver="cholesky")
        case "lasso":
            return partial(Lasso, **_descent(job))
        case _:
            return partial(ElasticNet, l1_ratio=job.number("l1_ratio"), **_descent(job))


def _descent(job: JobReader) -> dict[str, Any]:
    """Return the settings of both coordinate descents; the variant computes the Gram matrix first and takes the same sweeps."""
    settings = {"alpha": job.number("alpha"), "tol": job.number("tol"), "max_iter": job.integer("max_iterations")}
    gram = variant_of(job, ["gram"]) == "gram"
    return settings | {"fit_intercept": False, "precompute": gram, "selection": "cyclic"}


def _train(job: JobReader) -> Fit:
    """Fit to the training part, with contiguous columns."""
    centred = job.algorithm in CENTRED
    x = job.array("X_train", order="F")
    y = job.array("y_train_centred" if centred else "y_train")
    if not centred:
        variant_of(job)
    return Fit(job, _build(job), (x, y), partial(_descent_outputs, y=y) if centred else _closed_outputs)


def _closed_outputs(fitted: Any) -> Outputs:
    """Return the coefficients (columns,) and the intercept (1,)."""
    return Outputs({"coef": fitted.coef_, "intercept": np.array([fitted.intercept_])})


def _descent_outputs(fitted: Any, y: np.ndarray) -> Outputs:
    """Return the coefficients (columns,) and how the descent ended.

    The solver stops once the duality gap is below tol·‖y‖², and reports the gap divided by the number of rows.
    """
    converged = bool(fitted.dual_gap_ * len(y) <= fitted.tol * (y @ y))
    return Outputs({"coef": fitted.coef_}, iterations=int(fitted.n_iter_), converged=converged)


def _predict(job: JobReader) -> Predict:
    """Predict the test part, with contiguous rows; lasso and elasticnet predict the centred target."""
    return Predict(job, _train(job).run(None), job.array("X_test", order="C"), "prediction")


IMPLEMENTATIONS: dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]] = {
    (algorithm, phase): prepare
    for algorithm in ("linear", "ridge", *CENTRED)
    for phase, prepare in (("train", _train), ("predict", _predict))
}
