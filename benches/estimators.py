"""scikit-learn's estimators as implementations, called as their users call them: what its rooms share.

Not for any one of them: a room says how an estimator is built and what of it is compared.
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

    The estimator is built inside the clock: a user's call builds one too, and one that is used again could carry over
    what it learnt. Nothing is copied for it, so `build` must make estimators that leave their inputs alone.
    """

    def __init__(
        self, job: JobReader, build: Callable[[], Any], inputs: tuple[Any, ...], describe: Callable[[Any], Outputs]
    ) -> None:
        """Take what builds an unfitted estimator, what it is fitted to, and what turns a fitted one into outputs."""
        self._inputs = inputs
        self._describe = describe
        self._fit = _checked(job, lambda: build().fit(*inputs))

    def run(self, given: None) -> Any:  # noqa: ARG002 - there is no input to use up
        """Return a fitted estimator."""
        return self._fit()

    def outputs(self, result: Any) -> Outputs:
        """Return what parity compares."""
        return self._describe(result)

    def work(self) -> dict[str, int]:
        """Return the rows one fit sees."""
        return {"samples": len(self._inputs[0])}


class Predict(Implementation[None, Any]):
    """Predict rows with an estimator that was fitted before the clock starts."""

    def __init__(self, job: JobReader, fitted: Any, rows: Any, name: str) -> None:
        """Take a fitted estimator, the rows it is to predict, and what the predictions are called."""
        self._rows = rows
        self._name = name
        self._predict = _checked(job, lambda: fitted.predict(rows))

    def run(self, given: None) -> Any:  # noqa: ARG002 - as in Fit
        """Return one prediction for each row."""
        return self._predict()

    def outputs(self, result: Any) -> Outputs:
        """Return the predictions (rows,)."""
        return Outputs({self._name: result})

    def work(self) -> dict[str, int]:
        """Return the rows one call predicts."""
        return {"samples": len(self._rows)}


def variant_of(job: JobReader, known: Collection[str] = ()) -> str:
    """Return the variant asked for, without `NO_VALIDATION`, which every estimator knows.

    Raises:
        ImplementationError: it is not in `known`.

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
    """Return `call` as the job's variant wants it: as it is, or without scikit-learn's checks.

    They are switched off inside the clock: a setting left on would reach the other members of this process.
    """

    def without_checks() -> Any:
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            return call()

    return without_checks if job.variant == NO_VALIDATION else call
