"""Keras's and TensorFlow's switches: set once before the model is built, and reported as they are
in effect.
"""

from __future__ import annotations

import os

import keras
import tensorflow as tf

from nncompare.backends import settings
from nncompare.backends.base import Device
from nncompare.backends.engines.tensorflow import runtime
from nncompare.backends.keras import native
from nncompare.spec.job import Job
from nncompare.spec.layers.recurrent import Rnn
from nncompare.spec.model import Node


def apply(job: Job, device: Device) -> runtime.Placement:
    """Threads, visible devices, TF32, determinism and Keras's own settings for this process; TF32
    is on as TensorFlow ships, in the native convention.

    Returns:
        Where the session runs.
    """
    # Keras leaves XLA out, silently, where deterministic operations are on; XLA's own kernels on
    # the CPU are deterministic.
    deterministic = job.deterministic and job.mode != "xla"
    runtime.configure(device, threads=job.threads, tf32=job.native, deterministic=deterministic)
    tf.get_logger().setLevel("ERROR")  # it warns of the few retracings that other batch sizes need
    keras.utils.set_random_seed(job.seed % 2**32)
    # The policy is read by every layer, loss and metric when it is made.
    keras.config.set_floatx(job.dtype.name)
    keras.config.set_dtype_policy(job.dtype.name)
    keras.config.set_image_data_format("channels_last")
    return runtime.place(device)


def describe(job: Job, placement: runtime.Placement, compiled: bool) -> dict[str, str]:
    """Effective settings, by the names and words that all backends share.

    Args:
        job: with open values filled in.
        placement: where it runs.
        compiled: whether Keras compiles the step with XLA.
    """
    return settings.describe(
        job,
        native.semantics(job),
        engine="Keras on TensorFlow",
        threads=runtime.threads(),
        tf32=placement.tf32,
        compiled="XLA" if compiled else "tf.function",
        optimizer="one update per variable, unfused",
        flush_denormals=placement.flushes_denormals,
        deterministic=_is_deterministic(job, placement.device),
        onednn=runtime.onednn(),
        recurrent_kernel=lambda node: _recurrent_kernel(node, placement.device, compiled),
        attention_kernel="einsum, softmax, einsum",
    )


def _is_deterministic(job: Job, device: Device) -> bool:
    """Whether the kernels of this job repeat bit for bit."""
    if job.mode != "xla":
        return job.deterministic
    asked = "xla_gpu_deterministic_ops=true" in os.environ.get("XLA_FLAGS", "")
    return device.kind == "cpu" or asked


def _recurrent_kernel(node: Node, device: Device, compiled: bool) -> str:
    # Keras has cuDNN's kernel for LSTM and GRU alone
    fused = device.kind == "gpu" and not compiled and not isinstance(node.layer, Rnn)
    return "cuDNN" if fused else "a loop over the steps"
