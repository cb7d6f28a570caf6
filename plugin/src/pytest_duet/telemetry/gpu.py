"""Read a process's GPU memory and the GPU's utilisation through NVML.

Not for devices of other makers.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class GpuUnavailable(Exception):
    """NVML cannot tell, for the reason in the message."""


@contextlib.contextmanager
def device(index: int = 0) -> Iterator[Gpu]:
    """Open NVML and give the GPU `index`.

    Raises:
        GpuUnavailable: the binding, the driver or the device is missing.

    """
    try:
        import pynvml
    except ImportError:
        raise GpuUnavailable("nvidia-ml-py is not installed; pip install 'pytest-duet[gpu]'") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise GpuUnavailable(f"no NVIDIA driver: {error}") from None
    try:
        yield Gpu(pynvml, index)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


class Gpu:
    """One GPU, asked through NVML."""

    def __init__(self, nvml: Any, index: int) -> None:
        """Find the device."""
        self._nvml = nvml
        try:
            self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as error:
            raise GpuUnavailable(f"GPU {index}: {error}") from None

    def memory_bytes(self, pid: int) -> int:
        """Return the GPU memory `pid` holds, 0 where it uses none.

        Raises:
            GpuUnavailable: the call is not supported, as in a container without the host's process numbers.

        """
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except self._nvml.NVMLError as error:
            raise GpuUnavailable(str(error)) from None
        held = [process.usedGpuMemory for process in processes if process.pid == pid]
        if any(size is None for size in held):
            raise GpuUnavailable("the driver does not tell memory by process")
        return sum(held)

    def utilisation_percent(self) -> int:
        """Return the share of the last sample period in which a kernel ran, in percent.

        Raises:
            GpuUnavailable: the call is not supported, as on a MIG slice.

        """
        try:
            return int(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
        except self._nvml.NVMLError as error:
            raise GpuUnavailable(str(error)) from None
