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

from nncompare.backends.backend import BaseBackend
from nncompare.backends.base import Device, Session
from nncompare.backends.torch import device as hardware
from nncompare.backends.torch import layers  # noqa: F401 - registers every layer
from nncompare.backends.torch.lowering import LOWERINGS
from nncompare.backends.torch.native import semantics
from nncompare.backends.torch.optimizers import OPTIMIZERS
from nncompare.backends.torch.session import TorchSession
from nncompare.data.base import Data
from nncompare.numerics.semantics import Semantics
from nncompare.spec.job import Job
from nncompare.spec.layers.normalization import BatchNorm
from nncompare.spec.model import Node


class TorchBackend(BaseBackend):
    """``torch`` runs modules eagerly, ``torch:compile`` through ``torch.compile`` in its default
    mode.
    """

    name = "torch"
    modes = ("", "compile")
    oldest = {"torch": (2, 7)}
    lowerings = LOWERINGS
    optimizers = OPTIMIZERS

    def versions(self) -> dict[str, str]:
        """PyTorch, and the libraries that it was built with."""
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
        """What PyTorch sees, best first."""
        return hardware.devices()

    def _semantics(self, job: Job) -> Semantics:
        return semantics(job)

    def _why_not_here(self, job: Job, device: Device) -> str | None:
        if job.dtype == "float64" and device.id == "mps":
            return "Apple's Metal (mps) has no float64; use train.dtype=float32 or --device cpu"
        return _why_not_compile(device) if job.mode == "compile" else None

    def _why_not_data(self, job: Job, data: Data) -> str | None:
        """Batch norm over one value a channel: the unbiased variance of the running statistics does
        not exist.
        """
        size = job.experiment.train.batch_size
        last = len(data.train) % size or size
        if last > 1 or not any(_has_single_values(node) for node in job.model.walk()):
            return None
        return (
            f"the last batch of an epoch has one example ({len(data.train)} examples, batch_size"
            f" {size}), and batch_norm cannot estimate a variance from it; choose another"
            " train.batch_size or data.limit"
        )

    def _session(self, job: Job, data: Data, device: Device) -> Session:
        return TorchSession(job, data, device)


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


def _has_single_values(node: Node) -> bool:
    """Whether this is a batch norm that gets one value a channel from each example."""
    return isinstance(node.layer, BatchNorm) and node.input.size == node.input.shape[-1]
