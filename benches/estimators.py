"""scikit-learn's estimators as implementations, called as users call them.

Each task builds its own estimators and chooses the outputs to compare.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sklearn

from pytest_duet.errors import ImplementationError
from pytest_duet.implementation import Implementation, Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pytest_duet.implementation import JobReader

NO_VALIDATION = "novalidate"
"""The variant whose calls skip scikit-learn's checks of parameters and input."""


class Fit(Implementation[None, Any]):
    """Fit from scratch.

    Building the estimator is timed: a user's call builds one too, and a reused estimator could keep what it learned. The inputs
    are not copied, so `build` must return estimators that do not change them.
    """

    def __init__(
        self, job: JobReader, build: Callable[[], Any], inputs: tuple[Any, ...], describe: Callable[[Any], Outputs]
    ) -> None:
        """Take a function that builds an unfitted estimator, the training data, and a function that returns the outputs of a fit."""
        self._inputs = inputs
        self._describe = describe
        self._fit = _checked(job, lambda: build().fit(*inputs))

    def run(self, given: None) -> Any:  # noqa: ARG002 - there is no input to use up
        """Return a fitted estimator."""
        return self._fit()

    def outputs(self, result: Any) -> Outputs:
        """Return the outputs that parity compares."""
        return self._describe(result)

    def work(self) -> dict[str, int]:
        """Return the number of rows of one fit."""
        return {"samples": len(self._inputs[0])}


class Predict(Implementation[None, Any]):
    """Predict rows with an estimator that is fitted while preparing."""

    def __init__(self, job: JobReader, fitted: Any, rows: Any, name: str) -> None:
        """Take a fitted estimator, the rows to predict, and the name of the output."""
        self._rows = rows
        self._name = name
        self._predict = _checked(job, lambda: fitted.predict(rows))

    def run(self, given: None) -> Any:  # noqa: ARG002 - as in Fit
        """Return one prediction per row."""
        return self._predict()

    def outputs(self, result: Any) -> Outputs:
        """Return the predictions (rows,)."""
        return Outputs({self._name: result})

    def work(self) -> dict[str, int]:
        """Return the number of rows that one call predicts."""
        return {"samples": len(self._rows)}


def variant_of(job: JobReader, known: Collection[str] = ()) -> str:
    """Return the job's variant, or an empty string for `NO_VALIDATION`, which every estimator supports.

    Raises:
        ImplementationError: The variant is not in `known`.
    """
    variant = job.variant
    if variant in {"", NO_VALIDATION}:
        return ""
    if variant not in known:
        names = ", ".join(f"sklearn.{name}" for name in (NO_VALIDATION, *known))
        msg = f"scikit-learn has no variant {variant!r} here; write sklearn, or one of {names}"
        raise ImplementationError(msg)
    return variant


def _checked(job: JobReader, call: Callable[[], Any]) -> Callable[[], Any]:
    """Return `call`, without scikit-learn's checks if the job's variant says so.

    The checks are switched off within the timed region, because a lasting setting would affect other members of this process.
    """

    def without_checks() -> Any:
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            return call()

    return without_checks if job.variant == NO_VALIDATION else call
