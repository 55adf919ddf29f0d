"""The settings that every session reports, in words that all backends share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.numerics.semantics import describe as describe_semantics
from nncompare.spec.job import Job
from nncompare.spec.model import Node


def describe(
    job: Job,
    native: Semantics,
    *,
    engine: str,
    threads: int,
    tf32: str,
    compiled: str,
    optimizer: str,
    flush_denormals: bool,
    deterministic: bool,
    onednn: bool,
    recurrent_kernel: Callable[[Node], str],
    attention_kernel: str,
    own: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Effective settings, name -> value, so that equal things never show up as differing.

    Args:
        job: with open values filled in.
        native: what the framework's layers and optimizers mean in the native convention.
        engine: what computes.
        threads: CPU threads of one operation.
        tf32: which float32 products are rounded to TF32.
        compiled: by what.
        optimizer: how the update is carried out.
        flush_denormals: denormal numbers become zero.
        deterministic: kernels repeat bit for bit.
        onednn: CPU kernels come from oneDNN.
        recurrent_kernel: what computes a recurrent node.
        attention_kernel: what computes attention.
        own: settings that the other backends do not have.
    """
    nodes = list(job.model.walk())
    found = {
        "engine": engine,
        "threads": str(threads),
        "tf32": tf32,
        "compiled": compiled,
        "memory format": "NHWC",  # of images; in PyTorch it is called channels_last
        "optimizer implementation": optimizer,
        "flush denormals": _yes(flush_denormals),
        "deterministic kernels": _yes(deterministic),
        "onednn": "on" if onednn else "off",
        **(own or {}),
    }
    if job.model.drop_rates:
        found["dropout masks from"] = "the framework" if job.dropout == "framework" else "nncompare"
    # several layers may have several kernels: each once
    kernels = dict.fromkeys(recurrent_kernel(node) for node in nodes if node.layer.recurrent)
    if kernels:
        found["recurrent kernel"] = " and ".join(kernels)
    if any(node.layer.attends for node in nodes):
        found["attention kernel"] = attention_kernel
    return found | describe_semantics(job, native if job.native else ALIGNED)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
