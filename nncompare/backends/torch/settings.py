"""PyTorch's switches: set once before the model is built, and reported as they are in effect."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch

from nncompare.backends.torch import native
from nncompare.backends.torch.optimizers import implementation
from nncompare.numerics.semantics import ALIGNED
from nncompare.numerics.semantics import describe as describe_semantics
from nncompare.spec.job import Job


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
    torch.set_float32_matmul_precision("highest")
    # PyTorch ships with TF32 in convolutions, not in matrix products
    torch.backends.cudnn.allow_tf32 = job.native
    if job.deterministic:
        # read by cuBLAS when it starts; a worker for parity has it from its parent already
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(job.deterministic)
    return flush


def describe(job: Job, device: torch.device, flush: bool) -> dict[str, str]:
    """Effective settings, by the names and words that all backends share, so that the ledger shows
    real differences.
    """
    layers = {node.layer.type for node in job.model.walk()}
    optimizer = job.experiment.train.optimizer.name
    found = {
        "engine": "PyTorch",
        "threads": str(torch.get_num_threads()),
        "tf32": _tf32(device),
        "compiled": _compiled(job, layers, device),
        "memory format": "NHWC",  # of images: channels_last
        "optimizer implementation": _implementation(job, optimizer, device),
        "flush denormals": _yes(flush),
        "deterministic kernels": _yes(torch.are_deterministic_algorithms_enabled()),
        "onednn": (
            "on"
            if torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
            else "off"
        ),
    }
    # the other backends have no such setting: reported only where it is not the usual one
    if torch.get_num_interop_threads() != 1:
        found["inter-op threads"] = str(torch.get_num_interop_threads())
    if device.type == "cuda" and torch.backends.cudnn.benchmark:
        found["cudnn benchmark"] = "yes"
    if "dropout" in layers:
        found["dropout masks from"] = "the framework" if job.dropout == "framework" else "nncompare"
    for kind in sorted(layers & {"rnn", "lstm", "gru"}):
        found["recurrent kernel"] = _recurrent_kernel(kind, job, device)
    if "attention" in layers:
        kernel = "nn.MultiheadAttention" if job.native else "fused (scaled_dot_product_attention)"
        found["attention kernel"] = kernel
    return found | describe_semantics(job, native.semantics(job) if job.native else ALIGNED)


def _tf32(device: torch.device) -> str:
    """Which float32 products are rounded to TF32: only GPUs can."""
    if device.type != "cuda":
        return "off"
    products = torch.get_float32_matmul_precision() != "highest"
    convolutions = torch.backends.cudnn.allow_tf32
    return {
        (True, True): "on",
        (False, True): "convolutions only",
        (True, False): "products only",
    }.get((products, convolutions), "off")


def _implementation(job: Job, optimizer: str, device: torch.device) -> str:
    if not job.native:
        return f"torch.optim, {implementation(optimizer, device)}"
    # what torch.optim picks by itself (torch.optim.optimizer._default_to_fused_or_foreach)
    return f"torch.optim, {'foreach' if device.type in ('cuda', 'xpu') else 'for-loop'}"


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _compiled(job: Job, layers: set[str], device: torch.device) -> str:
    if device.type == "xla":
        return "yes (XLA through torch_xla)"
    if job.mode != "compile":
        return "no"
    # Dynamo breaks the graph at PyTorch's recurrent modules, whose fused kernels it could not
    # improve
    apart = ", recurrent layers left as they are" if layers & {"rnn", "lstm", "gru"} else ""
    return f"yes (torch.compile of forward and backward{apart})"


def _recurrent_kernel(kind: str, job: Job, device: torch.device) -> str:
    name = {"rnn": "nn.RNN", "lstm": "nn.LSTM", "gru": "nn.GRU"}[kind]
    if device.type == "cuda":
        return f"{name}, {'MIOpen' if torch.version.hip else 'cuDNN'}"
    if device.type == "cpu":
        one_dnn = kind == "lstm" and job.dtype == "float32" and torch.backends.mkldnn.enabled
        return f"{name}, {'oneDNN' if one_dnn else 'ATen'}"
    return name
