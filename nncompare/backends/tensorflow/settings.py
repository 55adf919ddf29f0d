"""TensorFlow's switches: set once before the model is built, and reported as they are in effect."""

from __future__ import annotations

from nncompare.backends import settings
from nncompare.backends.base import Device
from nncompare.backends.engines.tensorflow import runtime
from nncompare.backends.tensorflow import native
from nncompare.backends.tensorflow.layers.recurrent import longest_unrolled
from nncompare.spec.job import Job
from nncompare.spec.model import Node


def apply(job: Job, device: Device) -> runtime.Placement:
    """Threads, visible devices, TF32 and determinism for this process; TF32 is on as TensorFlow
    ships, in the native convention.

    Returns:
        Where the session runs.
    """
    runtime.configure(device, threads=job.threads, tf32=job.native, deterministic=job.deterministic)
    return runtime.place(device)


def describe(job: Job, placement: runtime.Placement, optimizer: str) -> dict[str, str]:
    """Effective settings, by the names and words that all backends share.

    Args:
        job: with open values filled in.
        placement: where it runs.
        optimizer: how its updates are carried out.
    """
    compiled = job.mode == "xla"
    return settings.describe(
        job,
        native.semantics(job),
        engine="TensorFlow",
        threads=runtime.threads(),
        tf32=placement.tf32,
        compiled="XLA" if compiled else "tf.function",
        optimizer=optimizer,
        flush_denormals=placement.flushes_denormals,
        deterministic=job.deterministic,
        onednn=runtime.onednn(),
        recurrent_kernel=lambda node: _recurrent_kernel(node, compiled),
        attention_kernel="matmul, softmax, matmul",
    )


def _recurrent_kernel(node: Node, compiled: bool) -> str:
    steps = node.input.shape[0]
    written_out = steps <= longest_unrolled(compiled)
    return "steps written out" if written_out else "a loop over the steps"
