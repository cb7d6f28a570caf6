"""A fake NVML with scripted answers and errors.

Not a test.
"""

from __future__ import annotations

import types
from typing import Any


class NVMLError(Exception):
    """The error that the binding raises."""


def make(**changes: Any) -> types.ModuleType:
    """Return a stand-in for ``pynvml``: one GPU, 40 % busy, on which process 7 has 100 and 5 bytes."""
    module = types.ModuleType("pynvml")
    module.calls = []  # type: ignore[attr-defined]

    def note(name: str, result: Any) -> Any:
        def call(*args: Any) -> Any:
            module.calls.append(name)  # type: ignore[attr-defined]
            value = result(*args) if callable(result) else result
            if isinstance(value, Exception):
                raise value
            return value

        return call

    answers: dict[str, Any] = {
        "nvmlInit": None,
        "nvmlShutdown": None,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetComputeRunningProcesses": [process(7, 100), process(8, 50), process(7, 5)],
        "nvmlDeviceGetUtilizationRates": types.SimpleNamespace(gpu=40, memory=1),
    }
    module.NVMLError = NVMLError  # type: ignore[attr-defined]
    for name, answer in {**answers, **changes}.items():
        setattr(module, name, note(name, answer))
    return module


def process(pid: int, size: int | None) -> Any:
    """Return one process as NVML lists it."""
    return types.SimpleNamespace(pid=pid, usedGpuMemory=size)
