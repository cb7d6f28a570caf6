"""What a Python implementation is: the seam between a task's ``impl_<framework>.py`` and the harness that runs it.

Not for running one: ``workers.host`` does. The Rust twin is the trait ``Implementation`` of ``rust_crates/duet-worker``.

A task's module holds one mapping, from (algorithm, phase) to what prepares it::

    IMPLEMENTATIONS = {("linear", "train"): LinearTrain, ("linear", "predict"): LinearPredict}
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

from pytest_duet.errors import ImplementationError
from pytest_duet.protocol import Job, NonFinite, Scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    Prepare = Callable[["JobReader"], "Implementation[Any, Any]"]

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")


@dataclass(frozen=True)
class Outputs:
    """What one call produced: `arrays` by name for parity, and how it converged.

    `loss` is the loss of each step, in order; `iterations` is what the algorithm itself counts.
    """

    arrays: Mapping[str, npt.NDArray[np.generic]]
    iterations: int | None = None
    converged: bool | None = None
    loss: Sequence[float] = field(default_factory=tuple)


class Implementation(ABC, Generic[InputT, OutputT]):
    """A prepared job. Its constructor takes a `JobReader` and does all that a round must not pay for.

    The clock runs round `run` alone: `fresh` makes each call's input before it starts, `outputs` reads a result after it
    stopped. Every call starts from scratch, so what `run` changes must live in its input.
    """

    max_iterations: ClassVar[int | None] = None
    """The most calls one round may hold, where inputs are too large to lie side by side."""

    def fresh(self) -> InputT:
        """Return the input of one call; override where a call consumes or changes it."""
        return None  # type: ignore[return-value]  # a call without input takes None

    @abstractmethod
    def run(self, given: InputT) -> OutputT:
        """Do the timed work and return its result, so that nothing can be optimised away."""

    @abstractmethod
    def outputs(self, result: OutputT) -> Outputs:
        """Return what parity compares, from what `run` returned."""

    def sync(self) -> None:
        """Wait for the device; called inside the clock."""

    def spans(self, result: OutputT) -> dict[str, int]:  # noqa: ARG002 - a call without parts has nothing to tell
        """Return how long named parts of the call took, in ns, as `run` noted in its result."""
        return {}

    def work(self) -> dict[str, int]:
        """Return how much one call does, such as ``{"samples": 442}``, for throughput."""
        return {}


class JobReader:
    """A job as an implementation reads it; what was read is remembered, so that nothing unread can be attested."""

    def __init__(self, job: Job) -> None:
        """Wrap `job`; nothing is read yet."""
        self.job = job
        self.read_params: dict[str, Scalar] = {}
        self.read_data: dict[str, str] = {}
        self._asked: set[str] = set()

    @property
    def algorithm(self) -> str:
        """Which algorithm of the task is asked for."""
        return self.job.algorithm

    @property
    def variant(self) -> str:
        """Which legitimate way of the framework is asked for; empty for the plain one."""
        self._asked.add("variant")
        return self.job.variant

    @property
    def threads(self) -> int:
        """How many threads may run, for libraries that must be told in each call."""
        return self.job.threads

    @property
    def device(self) -> str:
        """Where to compute: ``cpu``, or ``cuda:N``."""
        self._asked.add("device")
        return self.job.device

    def check_heeded(self) -> None:
        """Refuse an implementation that never asked for a variant or device that is not the plain one.

        Raises:
            ImplementationError: it would run something else than what it attests.

        """
        for name, value, plain in (("variant", self.job.variant, ""), ("device", self.job.device, "cpu")):
            if value != plain and name not in self._asked:
                raise ImplementationError(f"{name} {value!r} is not known here: the implementation never asked for it")

    def scalar(self, name: str) -> Scalar:
        """Return parameter `name`, whatever its type."""
        try:
            value = self.job.params[name]
        except KeyError:
            msg = f"job has no parameter {name!r}; it has {', '.join(sorted(self.job.params)) or 'none'}"
            raise ImplementationError(msg) from None
        self.read_params[name] = value
        return value

    def number(self, name: str) -> float:
        """Return the number `name`."""
        value = self.scalar(name)
        if isinstance(value, NonFinite):
            return float(value.nonfinite)
        if isinstance(value, bool | str):
            raise self._wrong(name, value, "a number")
        return float(value)

    def integer(self, name: str) -> int:
        """Return the integer `name`."""
        value = self.scalar(name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong(name, value, "an integer")
        return value

    def flag(self, name: str) -> bool:
        """Return the truth value `name`."""
        value = self.scalar(name)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "true or false")
        return value

    def text(self, name: str) -> str:
        """Return the text `name`."""
        value = self.scalar(name)
        if not isinstance(value, str):
            raise self._wrong(name, value, "text")
        return value

    @staticmethod
    def _wrong(name: str, value: object, wanted: str) -> ImplementationError:
        return ImplementationError(f"parameter {name!r} is {value!r}; it must be {wanted}")

    def content(self, name: str) -> bytes:
        """Return the bytes of data file `name` and remember their SHA-256."""
        try:
            path = self.job.data[name]
        except KeyError:
            msg = f"job has no data file {name!r}; it has {', '.join(sorted(self.job.data)) or 'none'}"
            raise ImplementationError(msg) from None
        content = Path(path).read_bytes()
        self.read_data[name] = hashlib.sha256(content).hexdigest()
        return content

    def array(self, name: str, order: Literal["C", "F"] = "C") -> npt.NDArray[np.generic]:
        """Return the array in ``.npy`` file `name`, contiguous in `order`."""
        array = np.load(io.BytesIO(self.content(name)), allow_pickle=False)
        return np.require(array, requirements=[order])

    def document(self, name: str) -> str:
        """Return the text in data file `name`: prose, or JSON such as a tokeniser's."""
        return self.content(name).decode()

    def tensors(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the named arrays in ``.safetensors`` file `name`."""
        from safetensors.numpy import load

        return dict(load(self.content(name)))
