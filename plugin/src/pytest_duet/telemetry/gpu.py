"""The GPU memory of a process and the utilisation of the GPU, from NVML: NVIDIA devices only."""

from __future__ import annotations

import contextlib
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from pytest_duet.telemetry.probe import Steps, Unreadable, register, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOST: Final = "lost or unsupported"


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

        pynvml.nvmlInit()
    except ImportError:
        raise GpuUnavailable("nvidia-ml-py is not installed; pip install 'pytest-duet[gpu]'") from None
    except pynvml.NVMLError as error:
        raise GpuUnavailable(f"no NVIDIA driver: {error}") from None
    try:
        yield Gpu(pynvml, index)
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


class Gpu:
    """One GPU, read through NVML.

    A call that is not supported raises `GpuUnavailable`: the memory in a container without the host's process numbers,
    the utilisation on a MIG slice.
    """

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        with self._call(f"GPU {index}"):
            self._handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def memory_bytes(self, pid: int) -> int:
        """Return the GPU memory `pid` holds in bytes, 0 where it uses none."""
        with self._call():
            processes = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
        held = [process.usedGpuMemory for process in processes if process.pid == pid]
        if any(size is None for size in held):
            raise GpuUnavailable(f"{_LOST}: the driver does not report memory by process")
        return sum(held)

    def utilisation_percent(self) -> int:
        """Return the share of the last sample period in which a kernel ran, in percent."""
        with self._call():
            return int(self._nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)

    @contextlib.contextmanager
    def _call(self, what: str = _LOST) -> Iterator[None]:
        try:
            yield
        except self._nvml.NVMLError as error:
            raise GpuUnavailable(f"{what}: {error}") from None


@register("gpu_memory", "bytes", 70)
def gpu_memory(pid: int) -> Steps:
    """Return the most GPU memory the process held in any sample."""
    with device() as gpu:
        return max((yield from samples(lambda: gpu.memory_bytes(pid))))


# A probe of its own: a MIG slice reports memory but no utilisation.
@register("gpu_utilisation", "percent", 80)
def gpu_utilisation(_pid: int) -> Steps:
    """Return the mean utilisation of the GPU while the process works."""
    with device() as gpu:
        return fmean((yield from samples(gpu.utilisation_percent)))
