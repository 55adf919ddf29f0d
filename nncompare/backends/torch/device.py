"""Devices that PyTorch sees, and what differs between them outside the model."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Callable
from typing import Any

import torch

from nncompare.backends.base import Device


def devices() -> list[Device]:
    """TPU, then GPUs, then the CPU. Only the CPU path has been run; the others follow PyTorch's
    documentation.
    """
    return [*_tpus(), *_gpus(), _cpu()]


def _cpu() -> Device:
    """Named after the instruction set that PyTorch's kernels use, ``x86_64, AVX512``."""
    return Device(
        kind="cpu",
        id="cpu",
        name=f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
    )


def _gpus() -> list[Device]:
    """CUDA, ROCm (which PyTorch also calls ``cuda``) and Apple's MPS. Never run on the hardware."""
    if torch.cuda.is_available():
        rocm = f", ROCm {torch.version.hip}" if torch.version.hip else ""
        count = torch.cuda.device_count()
        return [
            Device(kind="gpu", id=f"cuda:{i}", name=torch.cuda.get_device_name(i) + rocm)
            for i in range(count)
        ]
    if torch.backends.mps.is_available():
        return [Device(kind="gpu", id="mps", name=f"Apple {platform.machine()}, Metal")]
    return []


def _tpus() -> list[Device]:
    """Through ``torch_xla``, if it is installed and drives a TPU. Never run on the hardware."""
    if importlib.util.find_spec("torch_xla") is None:
        return []
    try:
        xla = _xla()
        device = xla.device()
        kind = xla.core.xla_model.xla_device_hw(device)
    except Exception:
        return []  # installed without a device that it can open: the other devices still work
    return [Device(kind="tpu", id=str(device), name=kind)] if kind == "TPU" else []


def _xla() -> Any:
    """``torch_xla``, which only a TPU run needs."""
    import torch_xla
    import torch_xla.core.xla_model

    return torch_xla


def synchronizer(device: torch.device) -> Callable[[], None]:
    """A function that returns when the device is idle."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    if device.type == "mps":
        return torch.mps.synchronize
    if device.type == "xla":
        return _wait_for_xla
    return lambda: None


def _wait_for_xla() -> None:
    xla = _xla()
    xla.sync()
    xla.core.xla_model.wait_device_ops()


def step_marker(device: torch.device) -> Callable[[], None] | None:
    """What a loop must call after each step: XLA gathers operations until it is told to run them.
    Else None.
    """
    return _xla().sync if device.type == "xla" else None


def peak_bytes(device: torch.device) -> int | None:
    """Largest memory that PyTorch's allocator held on this device; None where it keeps no peak
    (CPU, MPS).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type == "xla":
        peak = _xla().core.xla_model.get_memory_info(device).get("peak_bytes_used")
        return None if peak is None else int(peak)
    return None
