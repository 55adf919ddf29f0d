"""PyTorch as ``backends.base.Backend``."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import torch

from nncompare.backends.base import Device, Session, choose_device
from nncompare.backends.native import resolve
from nncompare.backends.torch import device as hardware
from nncompare.backends.torch.layers import unsupported
from nncompare.backends.torch.native import DEFAULTS, semantics
from nncompare.backends.torch.session import TorchSession
from nncompare.data.base import Data
from nncompare.errors import Refused
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job
from nncompare.spec.model import Model

MODES = ("", "compile")


class TorchBackend:
    """``torch`` runs modules eagerly, ``torch:compile`` through ``torch.compile`` in its default
    mode.
    """

    def versions(self) -> dict[str, str]:
        built = torch.__config__.show()
        found = {
            "torch": torch.__version__,
            "oneDNN": _search(r"(?:oneDNN|MKL-DNN) v([\d.]+)", built),
            "MKL": _search(r"Math Kernel Library Version ([\d.]+)", built),
            "CUDA": torch.version.cuda,
            "ROCm": torch.version.hip,
            "cuDNN": str(torch.backends.cudnn.version()) if torch.cuda.is_available() else None,
        }
        return {name: version for name, version in found.items() if version}

    def devices(self) -> list[Device]:
        return hardware.devices()

    def why_not(self, job: Job) -> str | None:
        if job.mode not in MODES:
            return (
                f"unknown mode {job.mode!r}; the torch backend has the runtimes torch and"
                " torch:compile"
            )
        device = choose_device(self.devices(), job.device)
        if isinstance(device, str):
            return device
        lacking = {
            kind: unsupported(kind) for kind in (node.layer.type for node in job.model.walk())
        }
        if reasons := [f"{kind}: {reason}" for kind, reason in lacking.items() if reason]:
            return "; ".join(reasons)
        if job.dtype == "float64" and device.kind == "tpu":
            return "TPUs have no float64 arithmetic; use train.dtype=float32 or --device cpu"
        if job.dtype == "float64" and device.id == "mps":
            return "Apple's Metal (mps) has no float64; use train.dtype=float32 or --device cpu"
        return _why_not_compile(device) if job.mode == "compile" else None

    def resolve(self, job: Job) -> Job:
        return resolve(job, DEFAULTS)

    def semantics(self, job: Job) -> Semantics:
        return semantics(job) if job.native else ALIGNED

    def open(self, job: Job, data: Data) -> Session:
        if reason := self.why_not(job) or _why_not_data(job, data):
            raise Refused(reason)
        device = choose_device(self.devices(), job.device)
        assert isinstance(device, Device), "why_not has found the device"
        return TorchSession(self.resolve(job), data, device)


def _search(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found.group(1) if found else None


def _why_not_compile(device: Device) -> str | None:
    """What ``torch.compile`` needs: a C++ compiler and Python's headers on CPU, Triton on a CUDA or
    ROCm GPU.
    """
    if device.kind == "tpu":
        return "torch_xla compiles by itself on a TPU; use the runtime torch"
    if device.id == "mps":
        return None
    if device.kind == "gpu":
        if importlib.util.find_spec("triton"):
            return None
        return "torch.compile needs Triton on a GPU; pip install triton, or use the runtime torch"
    # the one that TorchInductor starts (torch._inductor.cpp_builder.get_cpp_compiler)
    compiler = os.environ.get("CXX") or {"darwin": "clang++", "win32": "cl"}.get(
        sys.platform, "g++"
    )
    if shutil.which(compiler) is None:
        return (
            f"torch.compile needs a C++ compiler, and {compiler} is not on the PATH; install it, or"
            " set CXX to another"
        )
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        folder = sysconfig.get_path("include")
        return (
            f"torch.compile needs Python's headers, and {folder}/Python.h is not here; install"
            " python3-dev"
        )
    return None


def _why_not_data(job: Job, data: Data) -> str | None:
    """Batch norm over one value a channel: the unbiased variance of the running statistics does not
    exist.
    """
    last = len(data.train) % job.experiment.train.batch_size or job.experiment.train.batch_size
    if last > 1 or not _has_single_value_batch_norm(job.model):
        return None
    size = job.experiment.train.batch_size
    return (
        f"the last batch of an epoch has one example ({len(data.train)} examples, batch_size"
        f" {size}), and batch_norm cannot estimate a variance from it; choose another"
        " train.batch_size or data.limit"
    )


def _has_single_value_batch_norm(model: Model) -> bool:
    return any(
        node.layer.type == "batch_norm" and node.input.size == node.input.shape[-1]
        for node in model.walk()
    )
