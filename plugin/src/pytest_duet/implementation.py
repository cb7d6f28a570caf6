"""The base class of Python implementations, and the reader of their jobs.

``workers.host`` runs implementations. The Rust twin is the trait ``Implementation`` of ``rust_crates/duet-worker``.

A task's ``impl_<framework>.py`` maps each (algorithm, phase) to its implementation::

    IMPLEMENTATIONS = {("linear", "train"): LinearTrain, ("linear", "predict"): LinearPredict}
"""

from __future__ import annotations

import hashlib
import io
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np

from pytest_duet.errors import ImplementationError
from pytest_duet.values import NonFinite, from_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from pytest_duet.protocol import Job
    from pytest_duet.values import Scalar

    Prepare = Callable[["JobReader"], "Implementation[Any, Any]"]

InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Outputs:
    """What one call produced: named `arrays`, which parity compares, and how it converged.

    `loss` is the loss of each step, in order. `iterations` is the algorithm's own count.
    """

    arrays: Mapping[str, npt.NDArray[np.generic]]
    iterations: int | None = None
    converged: bool | None = None
    loss: Sequence[float] = ()


class Implementation(ABC, Generic[InputT, OutputT]):
    """A prepared job. The constructor takes a `JobReader` and does all work that does not belong in a timed round.

    Only `run` and `sync` are timed: `fresh` makes each call's input before the clock starts, and `outputs` reads a result
    after it stops. Every call starts from scratch, so anything that `run` changes must be part of its input.
    """

    max_iterations: ClassVar[int | None] = None
    """The most calls that one round may have, for inputs so large that few fit into memory at once."""

    def fresh(self) -> InputT:
        """Return the input of one call; override it if a call consumes or changes its input."""
        return None  # type: ignore[return-value]  # a call without input takes None

    @abstractmethod
    def run(self, given: InputT) -> OutputT:
        """Do the timed work and return its result."""

    @abstractmethod
    def outputs(self, result: OutputT) -> Outputs:
        """Return what parity compares, given the `result` of `run`."""

    def sync(self) -> None:
        """Wait for the device to finish; this is timed."""

    def spans(self, result: OutputT) -> dict[str, int]:  # noqa: ARG002 - by default a call has no spans
        """Return how long named parts of the call took, in ns, as `run` recorded in its result."""
        return {}

    def work(self) -> dict[str, int]:
        """Return the work of one call, such as ``{"samples": 442}``, for throughput."""
        return {}


class JobReader:
    """Reads a job for an implementation and records what was read: the worker attests only that."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.read_params: dict[str, Scalar] = {}
        self.read_data: dict[str, str] = {}
        self._used: set[str] = set()

    @property
    def algorithm(self) -> str:
        """The algorithm to run, one of the task's."""
        return self.job.algorithm

    @property
    def variant(self) -> str:
        """The variant to run, one of the framework's; empty for the plain one."""
        self._used.add("variant")
        return self.job.variant

    @property
    def threads(self) -> int:
        """How many threads may run, for libraries that take the number in each call."""
        return self.job.threads

    @property
    def device(self) -> str:
        """The device to compute on: ``cpu`` or ``cuda:N``."""
        self._used.add("device")
        return self.job.device

    def check_used(self) -> None:
        """Check that the implementation read the variant and the device, unless they are the plain ones.

        Raises:
            ImplementationError: it did not, so it would run something else than it attests.
        """
        for name, value, plain in (("variant", self.job.variant, ""), ("device", self.job.device, "cpu")):
            if value != plain and name not in self._used:
                raise ImplementationError(f"{name} {value!r} is not known here: the implementation never read it")

    def scalar(self, name: str) -> Scalar:
        """Return the parameter `name`, whatever its type."""
        self.read_params[name] = self._entry("parameter", self.job.params, name)
        return self.read_params[name]

    def number(self, name: str) -> float:
        """Return the parameter `name`, a number, as a float."""
        value = self.scalar(name)
        if not isinstance(value, float | NonFinite):
            value = self._typed(name, int, "a number")
        return from_number(value)

    def integer(self, name: str) -> int:
        """Return the integer parameter `name`."""
        return self._typed(name, int, "an integer")

    def flag(self, name: str) -> bool:
        """Return the boolean parameter `name`."""
        return self._typed(name, bool, "true or false")

    def text(self, name: str) -> str:
        """Return the string parameter `name`."""
        return self._typed(name, str, "a string")

    def _typed(self, name: str, kind: type[_T], wanted: str) -> _T:
        value = self.scalar(name)
        # A bool is an int in Python.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ImplementationError(f"parameter {name!r} is {value!r}; it must be {wanted}")
        return value

    @staticmethod
    def _entry(kind: str, entries: Mapping[str, _T], name: str) -> _T:
        if name not in entries:
            raise ImplementationError(f"job has no {kind} {name!r}; it has {', '.join(sorted(entries)) or 'none'}")
        return entries[name]

    def content(self, name: str) -> bytes:
        """Return the bytes of data file `name` and record their SHA-256."""
        content = Path(self._entry("data file", self.job.data, name)).read_bytes()
        self.read_data[name] = hashlib.sha256(content).hexdigest()
        return content

    def array(self, name: str, order: Literal["C", "F"] = "C") -> npt.NDArray[np.generic]:
        """Return the array in ``.npy`` file `name`, contiguous in `order`."""
        array = np.load(io.BytesIO(self.content(name)), allow_pickle=False)
        return np.require(array, requirements=[order])

    def document(self, name: str) -> str:
        """Return the text of data file `name`, such as a corpus or the JSON of a tokeniser."""
        return self.content(name).decode()

    def tensors(self, name: str) -> dict[str, npt.NDArray[np.generic]]:
        """Return the named arrays in ``.safetensors`` file `name`."""
        from safetensors.numpy import load

        return dict(load(self.content(name)))
