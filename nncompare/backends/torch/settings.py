"""PyTorch's switches: set once before the model is built, and reported as they are in effect."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import torch

from nncompare.backends.base import Job
from nncompare.backends.torch.optimizers import EPSILON_PLACEMENT, implementation


def apply(job: Job) -> bool:
    """Threads, denormals, TF32 and determinism for this process.

    Returns:
        True if denormal numbers are flushed to zero; it depends on the processor.
    """
    torch.set_num_threads(job.threads)
    if torch.get_num_interop_threads() != 1:
        # only possible before the first parallel work of the process; the ledger reports what holds
        with contextlib.suppress(RuntimeError):
            torch.set_num_interop_threads(1)
    flush = torch.set_flush_denormal(True)  # TensorFlow flushes; PyTorch by itself does not
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    if job.deterministic:
        # read by cuBLAS when it starts; a worker for parity has it from its parent already
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(job.deterministic)
    return flush


def describe(job: Job, device: torch.device, flush: bool) -> dict[str, str]:
    """Effective settings, by the names and words that all backends share, so that the ledger shows real differences."""
    layers = {node.layer.type for node in job.model.walk()}
    optimizer = job.experiment.train.optimizer.name
    tf32 = torch.get_float32_matmul_precision() != "highest" or torch.backends.cudnn.allow_tf32
    found = {
        "engine": "PyTorch",
        "threads": str(torch.get_num_threads()),
        "tf32": "on" if tf32 else "off",
        "compiled": _compiled(job, layers, device),
        "memory format": "NHWC",  # of images: channels_last
        "optimizer implementation": f"torch.optim, {implementation(optimizer, device)}",
        "flush denormals": _yes(flush),
        "deterministic kernels": _yes(torch.are_deterministic_algorithms_enabled()),
        "onednn": "on" if torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled else "off",
    }
    # the other backends have no such setting: reported only where it is not the usual one
    if torch.get_num_interop_threads() != 1:
        found["inter-op threads"] = str(torch.get_num_interop_threads())
    if device.type == "cuda" and torch.backends.cudnn.benchmark:
        found["cudnn benchmark"] = "yes"
    if optimizer in EPSILON_PLACEMENT:
        found["epsilon placement"] = EPSILON_PLACEMENT[optimizer]
    if "dropout" in layers:
        found["dropout masks from"] = "the framework" if job.dropout == "framework" else "nncompare"
    for kind in sorted(layers & {"rnn", "lstm", "gru"}):
        found["recurrent kernel"] = _recurrent_kernel(kind, job, device)
    if "attention" in layers:
        found["attention kernel"] = "fused (scaled_dot_product_attention)"
    return found


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _compiled(job: Job, layers: set[str], device: torch.device) -> str:
    if device.type == "xla":
        return "yes (XLA through torch_xla)"
    if job.mode != "compile":
        return "no"
    # Dynamo breaks the graph at PyTorch's recurrent modules, whose fused kernels it could not improve
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
