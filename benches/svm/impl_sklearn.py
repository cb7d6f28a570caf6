"""Support vector machines in scikit-learn, called as users call them. The data are already split and standardised."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.svm import SVC, LinearSVC, NuSVC

from pytest_duet.implementation import Implementation, JobReader, Outputs

from ..estimators import Fit, Predict, variant_of

if TYPE_CHECKING:
    from collections.abc import Callable


def _build(job: JobReader) -> Callable[[], Any]:
    """Return a function that builds an unfitted estimator with the job's parameters."""
    if job.algorithm == "linear_svc":
        # The default is the choice of dual="auto"; the variant is descent in the dual.
        dual = variant_of(job, ["dual"]) == "dual"
        limit = job.integer("max_iterations")
        return partial(LinearSVC, C=job.number("C"), tol=job.number("tol"), max_iter=limit, dual=dual, random_state=0)
    settings = {
        "kernel": "rbf",
        "gamma": float(job.array("gamma")[0]),
        "tol": job.number("tol"),
        "cache_size": job.number("cache_mb"),
        "shrinking": variant_of(job, ["shrinking"]) == "shrinking",
        "decision_function_shape": "ovo",
    }
    if job.algorithm == "svc":
        return partial(SVC, C=job.number("C"), **settings)
    return partial(NuSVC, nu=job.number("nu"), **settings)


def _train(job: JobReader) -> Fit:
    x, y = job.array("X_train"), job.array("y_train")
    build = _build(job)
    if job.algorithm == "linear_svc":
        limit = job.integer("max_iterations")
        return Fit(job, build, (x, y), lambda fitted: _linear_outputs(fitted, limit))
    return Fit(job, build, (x, y), partial(_kernel_outputs, y=y, test=job.array("X_test")))


def _linear_outputs(fitted: Any, limit: int) -> Outputs:
    """Return the coefficients (columns,) and the intercept (1,)."""
    arrays = {"coef": fitted.coef_[0], "intercept": fitted.intercept_}
    return Outputs(arrays, iterations=int(fitted.n_iter_), converged=bool(fitted.n_iter_ < limit))


def _kernel_outputs(fitted: Any, y: np.ndarray, test: np.ndarray) -> Outputs:
    """Return, for each pair of classes, dual coefficients (pairs, rows), intercepts and decisions on the test part.

    Positive means the later class of a pair. scikit-learn uses this sign for two classes and the opposite for more.
    """
    classes = len(fitted.classes_)
    sign = 1.0 if classes == 2 else -1.0  # noqa: PLR2004 - the special case of scikit-learn
    dual = np.zeros((classes * (classes - 1) // 2, len(y)))
    of_support = y[fitted.support_]
    for pair, (first, second) in enumerate(combinations(range(classes), 2)):
        # A row of class i has its coefficients against the other classes in order, without its own.
        for mine, row in ((first, second - 1), (second, first)):
            chosen = of_support == mine
            dual[pair, fitted.support_[chosen]] = sign * fitted.dual_coef_[row, chosen]
    decision = sign * fitted.decision_function(test).reshape(len(test), -1)
    arrays = {"dual": dual, "intercept": sign * fitted.intercept_, "decision": decision}
    return Outputs(arrays, iterations=int(np.sum(fitted.n_iter_)), converged=fitted.fit_status_ == 0)


def _predict(job: JobReader) -> Predict:
    """Predict the class of each test row."""
    return Predict(job, _train(job).run(None), job.array("X_test"), "label")


IMPLEMENTATIONS: dict[tuple[str, str], Callable[[JobReader], Implementation[Any, Any]]] = {
    (algorithm, phase): prepare
    for algorithm in ("svc", "nu_svc", "linear_svc")
    for phase, prepare in (("train", _train), ("predict", _predict))
}
