"""The GPU memory of a process and the utilisation of the GPU, from NVML: NVIDIA devices only."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pytest_duet.telemetry.probe import NO_SAMPLE, Probe, Unreadable, mean, register

if TYPE_CHECKING:
    from collections.abc import Iterator


class GpuUnavailable(Unreadable):
    """NVML cannot tell, for the reason in the message."""


@contextlib.contextmanager
def device(index: int = 0) -> Iterator[Gpu]:
    """Open NVML and yield the GPU `index`.

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
    """One GPU, read through NVML."""

    def __init__(self, nvml: Any, index: int) -> None:
        """Find the device."""
        self._nvml = nvml
        try:
            self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        except nvml.NVMLError as error:
            raise GpuUnavailable(f"GPU {index}: {error}") from None

    def memory_bytes(self, pid: int) -> int:
        """Return the GPU memory `pid` holds in bytes, 0 where it uses none.

        Raises:
            GpuUnavailable: the call is not supported, as in a container without the host's process numbers.

        """
        try:
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        except self._nvml.NVMLError as error:
            raise GpuUnavailable(str(error)) from None
        held = [process.usedGpuMemory for process in processes if process.pid == pid]
        if any(size is None for size in held):
            raise GpuUnavailable("the driver does not report memory by process")
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


class _GpuProbe(Probe):
    """Samples one number of the GPU. Each number has its own probe: a MIG slice reports memory but no utilisation."""

    def __init__(self, pid: int) -> None:
        """Open NVML, which counts how often it was opened."""
        super().__init__(pid)
        self._opened = contextlib.ExitStack()
        self._gpu = self._opened.enter_context(device())
        self._samples: list[int] = []

    def sample(self) -> None:
        """Add a sample."""
        try:
            self._samples.append(self._read())
        except GpuUnavailable as error:
            raise Unreadable(f"lost or unsupported: {error}") from error

    def close(self) -> None:
        """Close NVML."""
        self._opened.close()

    def _read(self) -> int:
        raise NotImplementedError


@register
class GpuMemory(_GpuProbe):
    """The most GPU memory the process held in any sample."""

    name, unit, position = "gpu_memory", "bytes", 70

    def value(self) -> float:
        """Return the memory in bytes."""
        if not self._samples:
            raise Unreadable(NO_SAMPLE)
        return max(self._samples)

    def _read(self) -> int:
        return self._gpu.memory_bytes(self.pid)


@register
class GpuUtilisation(_GpuProbe):
    """The mean utilisation of the GPU while the process works."""

    name, unit, position = "gpu_utilisation", "percent", 80

    def value(self) -> float:
        """Return the mean in percent."""
        return mean(self._samples)

    def _read(self) -> int:
        return self._gpu.utilisation_percent()
