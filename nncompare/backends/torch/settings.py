"""PyTorch's switches: set once before the model is built, and reported as they are in effect."""

from __future__ import annotations

import contextlib
import os

import torch

from nncompare.backends import settings
from nncompare.backends.torch import native
from nncompare.backends.torch.optimizers import implementation
from nncompare.spec.job import Job
from nncompare.spec.layers import Layer
from nncompare.spec.layers.recurrent import Gru, Lstm, Rnn


def apply(job: Job) -> bool:
    """Threads, denormals, TF32 and determinism for this process. Denormals and TF32 are aligned
    with the other frameworks, or in the native convention as PyTorch ships them.

    Returns:
        True if denormal numbers are flushed to zero; it depends on the processor.
    """
    torch.set_num_threads(job.threads)
    if torch.get_num_interop_threads() != 1:
        # only possible before the first parallel work of the process; the ledger reports what holds
        with contextlib.suppress(RuntimeError):
            torch.set_num_interop_threads(1)
    # TensorFlow flushes; PyTorch by itself does not
    flush = torch.set_flush_denormal(not job.native) and not job.native
    # no TF32 in products, as PyTorch ships
    torch.set_float32_matmul_precision("highest")
    # PyTorch ships with TF32 in convolutions, not in matrix products
    torch.backends.cudnn.allow_tf32 = job.native
    if job.deterministic:
        # read by cuBLAS when it starts; a worker for parity has it from its parent already
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(job.deterministic)
    return flush


def describe(job: Job, device: torch.device, flushes: bool) -> dict[str, str]:
    """Effective settings, by the names and words that all backends share.

    Args:
        job: with open values filled in.
        device: where it runs.
        flushes: whether denormal numbers become zero (``apply``).
    """
    return settings.describe(
        job,
        native.semantics(job),
        engine="PyTorch",
        threads=torch.get_num_threads(),
        tf32=_tf32(device),
        compiled=_compiled(job, device),
        optimizer=f"torch.optim, {implementation(job, device)}",
        flush_denormals=flushes,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        onednn=torch.backends.mkldnn.is_available() and _onednn(),
        recurrent_kernel=lambda node: _recurrent_kernel(node.layer, job, device),
        attention_kernel=(
            "nn.MultiheadAttention" if job.native else "fused (scaled_dot_product_attention)"
        ),
        own=_own(device),
    )


def _own(device: torch.device) -> dict[str, str]:
    """What the other backends do not have: reported only where it is not the usual one."""
    found = {}
    if torch.get_num_interop_threads() != 1:
        found["inter-op threads"] = str(torch.get_num_interop_threads())
    if device.type == "cuda" and torch.backends.cudnn.benchmark:
        found["cudnn benchmark"] = "yes"
    return found


def _onednn() -> bool:
    return bool(torch.backends.mkldnn.enabled)


def _tf32(device: torch.device) -> str:
    """Which float32 products are rounded to TF32: only GPUs can."""
    if device.type != "cuda":
        return "off"
    products = torch.get_float32_matmul_precision() != "highest"
    convolutions = torch.backends.cudnn.allow_tf32
    if products and convolutions:
        return "on"
    if convolutions:
        return "convolutions only"
    return "products only" if products else "off"


def _compiled(job: Job, device: torch.device) -> str:
    if device.type == "xla":
        return "yes (XLA through torch_xla)"
    if job.mode != "compile":
        return "no"
    # Dynamo breaks the graph at PyTorch's recurrent modules, whose fused kernels it could not
    # improve
    recurrent = any(node.layer.recurrent for node in job.model.walk())
    apart = ", recurrent layers left as they are" if recurrent else ""
    return f"yes (torch.compile of forward and backward{apart})"


_RECURRENT: dict[type[Layer], str] = {Rnn: "nn.RNN", Lstm: "nn.LSTM", Gru: "nn.GRU"}
"""Layer -> PyTorch's module, which computes it."""


def _recurrent_kernel(layer: Layer, job: Job, device: torch.device) -> str:
    name = _RECURRENT[type(layer)]
    if device.type == "cuda":
        return f"{name}, {'MIOpen' if torch.version.hip else 'cuDNN'}"
    if device.type != "cpu":
        return name
    # oneDNN has an LSTM in float32 alone
    by_onednn = isinstance(layer, Lstm) and job.dtype == "float32" and _onednn()
    return f"{name}, {'oneDNN' if by_onednn else 'ATen'}"
