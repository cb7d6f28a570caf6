"""Invariances of the support vector machines, which hold for every member of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..invariances import Invariance

if TYPE_CHECKING:
    from ..invariances import Arrays, Expect

KERNEL = ("svc", "nu_svc")
ALL = (*KERNEL, "linear_svc")
FUNCTIONS = ("decision", "coef", "intercept")


def _functions(outputs: Arrays) -> Arrays:
    """Return the outputs that define the decision function; the others follow from it."""
    return {name: outputs[name] for name in FUNCTIONS if name in outputs}


def _rows(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    order = rng.permutation(len(data["y_train"]))
    return {name: np.ascontiguousarray(data[name][order]) for name in ("X_train", "y_train")}, _functions


def _columns(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    order = rng.permutation(data["X_train"].shape[1])

    def expect(outputs: Arrays) -> Arrays:
        found = dict(_functions(outputs))
        return {**found, "coef": found["coef"][order]} if "coef" in found else found

    return {name: np.ascontiguousarray(data[name][:, order]) for name in ("X_train", "X_test")}, expect


def _classes(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:  # noqa: ARG001 - deterministic
    def expect(outputs: Arrays) -> Arrays:
        return {name: -array for name, array in _functions(outputs).items()}

    return {"y_train": 1 - data["y_train"]}, expect


# In another order of rows, the solver takes another path to the same solution, within the stopping rule.
INVARIANCES = {
    "rows in another order": Invariance(ALL, _rows, 1e-4),
    "columns in another order": Invariance(ALL, _columns, 1e-4),
    "classes with each other's names": Invariance(ALL, _classes, 1e-4),
}
