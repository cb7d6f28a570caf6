"""What NVML reports, and the reasons where it does not."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from pytest_duet.telemetry.gpu import Gpu, GpuUnavailable, device

from .fakes import nvml


def _install(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Any:
    module = nvml.make(**changes)
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


def test_memory_is_that_of_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    with device() as gpu:
        assert [105, 50, 0] == [gpu.memory_bytes(pid) for pid in (7, 8, 9)]


def test_utilisation_is_that_of_the_gpu_and_not_of_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch)
    with device() as gpu:
        assert 40 == gpu.utilisation_percent()


def test_nvml_is_shut_down_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _install(monkeypatch, nvmlShutdown=nvml.NVMLError("again"))
    with pytest.raises(KeyError), device():
        raise KeyError
    assert ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlShutdown"] == module.calls


def test_without_the_binding_the_error_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with (
        pytest.raises(GpuUnavailable, match=r"nvidia-ml-py is not installed; pip install 'pytest-duet\[gpu\]'"),
        device(),
    ):
        pytest.fail("there is no GPU")


def test_without_a_driver_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _install(monkeypatch, nvmlInit=nvml.NVMLError("Driver Not Loaded"))
    with pytest.raises(GpuUnavailable, match="no NVIDIA driver: Driver Not Loaded"), device():
        pytest.fail("there is no GPU")
    assert ["nvmlInit"] == module.calls


def test_a_missing_gpu_is_named_and_nvml_shut_down(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _install(monkeypatch, nvmlDeviceGetHandleByIndex=nvml.NVMLError("Invalid Argument"))
    with pytest.raises(GpuUnavailable, match="GPU 3: Invalid Argument"), device(3):
        pytest.fail("there is no GPU")
    assert "nvmlShutdown" == module.calls[-1]


def test_an_unsupported_call_has_the_reason_of_nvml() -> None:
    module = nvml.make(
        nvmlDeviceGetComputeRunningProcesses=nvml.NVMLError("Not Supported"),
        nvmlDeviceGetUtilizationRates=nvml.NVMLError("GPU is lost"),
    )
    gpu = Gpu(module, 0)
    with pytest.raises(GpuUnavailable, match="Not Supported"):
        gpu.memory_bytes(7)
    with pytest.raises(GpuUnavailable, match="GPU is lost"):
        gpu.utilisation_percent()


def test_unknown_memory_is_not_zero() -> None:
    gpu = Gpu(nvml.make(nvmlDeviceGetComputeRunningProcesses=[nvml.process(7, None)]), 0)
    with pytest.raises(GpuUnavailable, match="the driver does not report memory by process"):
        gpu.memory_bytes(7)
    assert 0 == gpu.memory_bytes(8)
