"""Invariances of the linear models, which hold for every member of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..invariances import Invariance, same

if TYPE_CHECKING:
    from ..invariances import Arrays, Expect

CLOSED = ("linear", "ridge")
ALL = (*CLOSED, "lasso", "elasticnet")
TARGETS = ("y_train", "y_train_centred")


def _rows(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    order = rng.permutation(len(data["y_train"]))
    return {name: np.asfortranarray(data[name][order]) for name in ("X_train", *TARGETS)}, same


def _columns(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    order = rng.permutation(data["X_train"].shape[1])
    return _x(data, order=order), lambda outputs: {**outputs, "coef": outputs["coef"][order]}


def _shift(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    by = rng.uniform(10.0, 1000.0)
    return {"y_train": data["y_train"] + by}, lambda outputs: {**outputs, "intercept": outputs["intercept"] + by}


def _negate(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:  # noqa: ARG001 - deterministic
    return {name: -data[name] for name in TARGETS}, lambda outputs: {name: -each for name, each in outputs.items()}


def _scale(data: Arrays, rng: np.random.Generator) -> tuple[Arrays, Expect]:
    factors = rng.uniform(0.2, 5.0, data["X_train"].shape[1])
    return _x(data, factors=factors), lambda outputs: {**outputs, "coef": outputs["coef"] / factors}


def _x(data: Arrays, *, order: object = slice(None), factors: object = 1.0) -> Arrays:
    return {
        "X_train": np.asfortranarray(data["X_train"][:, order] * factors),  # type: ignore[call-overload]  # any index
        "X_test": np.ascontiguousarray(data["X_test"][:, order] * factors),  # type: ignore[call-overload]  # likewise
    }


INVARIANCES = {
    "rows in another order": Invariance(CLOSED, _rows),
    # smartcore solves its steps only approximately, so it depends on the order of summation, as far as parity allows.
    "rows in another order, in steps": Invariance(("lasso", "elasticnet"), _rows, 1e-2),
    "columns in another order": Invariance(CLOSED, _columns),
    "another offset of the target": Invariance(CLOSED, _shift, 1e-9),
    "the target with the other sign": Invariance(ALL, _negate, 1e-9),
    "columns in other units": Invariance(("linear",), _scale),
}
