"""The linear models in scikit-learn, called as its users call them.

Not for preparing data: the inputs arrive split and standardised.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, Ridge

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import Implementation, JobReader, Outputs

if TYPE_CHECKING:
    from collections.abc import Callable

CENTRED = ("lasso", "elasticnet")
"""The algorithms that are fitted to a centred target, without an intercept, on every side."""


def _build(job: JobReader) -> Callable[[], Any]:
    """Return what makes an unfitted estimator with the job's parameters."""
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
    """Return what both coordinate descents are told; a Gram matrix computed first would be another algorithm."""
    settings = {"alpha": job.number("alpha"), "tol": job.number("tol"), "max_iter": job.integer("max_iterations")}
    return settings | {"fit_intercept": False, "precompute": False, "selection": "cyclic"}


def _as_variant(call: Callable[..., Any], variant: str) -> Callable[..., Any]:
    """Return `call` in the way that `variant` names: as it is, or without scikit-learn's checks.

    They are switched off inside the clock: a setting left on would reach the other members of this process.
    """

    def without_checks(*args: object) -> Any:
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            return call(*args)

    ways = {"": call, "novalidate": without_checks}
    if variant not in ways:
        msg = f"scikit-learn has no variant {variant!r} here; write sklearn or sklearn.novalidate"
        raise ImplementationError(msg)
    return ways[variant]


class Train(Implementation[None, Any]):
    """Fit from scratch.

    The estimator is built inside the clock: a user's call builds one too, and one that is used again could carry over
    what it learnt. Nothing is copied for it: none of these estimators writes to its inputs (`copy_X` is left at its
    default, and without an intercept there is nothing to centre).
    """

    def __init__(self, job: JobReader) -> None:
        """Read the training part, columns contiguous."""
        self._build = _build(job)
        self._centred = job.algorithm in CENTRED
        self._x = job.array("X_train", order="F")
        self._y = job.array("y_train_centred" if self._centred else "y_train")
        self._fit = _as_variant(lambda: self._build().fit(self._x, self._y), job.variant)

    def run(self, given: None) -> Any:  # noqa: ARG002 - scikit-learn has no types; there is no input to use up
        """Return a fitted estimator."""
        return self._fit()

    def outputs(self, result: Any) -> Outputs:
        """Return the coefficients (columns,), then the intercept (1,) or how the descent ended."""
        if not self._centred:
            return Outputs({"coef": result.coef_, "intercept": np.array([result.intercept_])})
        # The solver's own rule: it stops once the duality gap is below tol·‖y‖². It reports the gap divided by rows.
        y = self._y.astype(np.float64)
        converged = bool(result.dual_gap_ * len(y) <= result.tol * (y @ y))
        return Outputs({"coef": result.coef_}, iterations=int(result.n_iter_), converged=converged)

    def work(self) -> dict[str, int]:
        """Return the rows one fit sees."""
        return {"samples": len(self._x)}


class Predict(Implementation[None, Any]):
    """Predict the test part with a model that was fitted before the clock starts."""

    def __init__(self, job: JobReader) -> None:
        """Fit, and read the test part, rows contiguous."""
        self._model = Train(job).run(None)
        self._x = job.array("X_test", order="C")
        self._predict = _as_variant(self._model.predict, job.variant)

    def run(self, given: None) -> Any:  # noqa: ARG002 - as in Train
        """Return one prediction for each row."""
        return self._predict(self._x)

    def outputs(self, result: Any) -> Outputs:
        """Return the predictions (rows,); those of lasso and elasticnet are of the centred target."""
        return Outputs({"prediction": result})

    def work(self) -> dict[str, int]:
        """Return the rows one call predicts."""
        return {"samples": len(self._x)}


IMPLEMENTATIONS: dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]] = {
    (algorithm, phase): prepare
    for algorithm in ("linear", "ridge", *CENTRED)
    for phase, prepare in (("train", Train), ("predict", Predict))
}
