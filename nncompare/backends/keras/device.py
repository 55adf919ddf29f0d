"""Devices that Keras reaches through TensorFlow, and the settings that must be made before
TensorFlow starts.
"""

from __future__ import annotations

import contextlib
import os
import platform
from typing import Any

import keras
import tensorflow as tf

from nncompare.backends.base import Device
from nncompare.spec.job import Job

_KINDS = ("TPU", "GPU", "CPU")


def devices() -> list[Device]:
    """What TensorFlow sees: TPUs, then GPUs, then the CPU. Starts nothing."""
    return [
        _describe(device) for kind in _KINDS for device in tf.config.list_physical_devices(kind)
    ]


def _describe(device: Any) -> Device:
    kind = device.device_type.lower()
    index = device.name.rpartition(":")[2]
    name = platform.processor() or platform.machine() if kind == "cpu" else device.device_type
    if kind == "gpu":
        name = tf.config.experimental.get_device_details(device).get("device_name", name)
    return Device(kind=kind, id=f"/{device.device_type}:{index}", name=name)


def configure(job: Job, device: Device) -> None:
    """Sets threads, memory, precision and determinism for this process.

    Threads and visible devices are fixed once TensorFlow has started, which is at the first session
    of a process; a later session may only ask for the same.

    Raises:
        RuntimeError: TensorFlow has started with other threads or devices.
    """
    _threads(job.threads)
    gpus = tf.config.list_physical_devices("GPU")
    _show(gpus if device.kind == "gpu" else [])
    tf.get_logger().setLevel("ERROR")  # it warns of the few retracings that other batch sizes need
    # TensorFlow ships with it on
    tf.config.experimental.enable_tensor_float_32_execution(job.native)
    # Keras leaves XLA out, silently, where this is on; XLA's own kernels on the CPU are
    # deterministic.
    if job.deterministic and job.mode != "xla":
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(job.seed % 2**32)
    # The policy is read by every layer, loss and metric when it is made.
    keras.config.set_floatx(job.dtype.name)
    keras.config.set_dtype_policy(job.dtype.name)
    keras.config.set_image_data_format("channels_last")


def _threads(wanted: int) -> None:
    # Only what differs is set, here and below: TensorFlow refuses to be told twice, even the same.
    threading = tf.config.threading
    if threading.get_intra_op_parallelism_threads() != wanted:
        threading.set_intra_op_parallelism_threads(wanted)
    if threading.get_inter_op_parallelism_threads() != 1:
        threading.set_inter_op_parallelism_threads(1)


def _show(gpus: list[Any]) -> None:
    if tf.config.get_visible_devices("GPU") != gpus:
        tf.config.set_visible_devices(gpus, "GPU")
    for gpu in gpus:
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)


def strategy(device: Device) -> Any:
    """The distribution strategy in whose scope the model is made; None where TensorFlow's default
    serves.

    A TPU takes ``TPUStrategy`` on one core, so that a batch is not split. Never run on a TPU so
    far.
    """
    if device.kind != "tpu":
        return None
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
    tf.config.experimental_connect_to_cluster(resolver)
    topology = tf.tpu.experimental.initialize_tpu_system(resolver)
    core = tf.tpu.experimental.DeviceAssignment.build(topology, num_replicas=1)
    return tf.distribute.TPUStrategy(resolver, experimental_device_assignment=core)


def scope(strategy: Any) -> contextlib.AbstractContextManager[Any]:
    """The strategy's scope, or nothing."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def synchronize(device: Device) -> None:
    """Returns when the device is idle."""
    if device.kind != "cpu":
        tf.test.experimental.sync_devices()


def peak_bytes(device: Device) -> int | None:
    """Largest memory so far on a GPU, in bytes; None elsewhere (TensorFlow keeps no count)."""
    if device.kind != "gpu":
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def deterministic(job: Job, device: Device) -> bool:
    """Whether the kernels of this job repeat bit for bit."""
    if job.mode == "xla":
        return device.kind == "cpu" or "xla_gpu_deterministic_ops=true" in os.environ.get(
            "XLA_FLAGS", ""
        )
    return job.deterministic


def tf32(device: Device) -> str:
    """Whether float32 products are rounded to TF32: only GPUs can."""
    return (
        "on"
        if device.kind == "gpu" and tf.config.experimental.tensor_float_32_execution_enabled()
        else "off"
    )


def onednn() -> str:
    """Whether TensorFlow's CPU kernels come from oneDNN: on in x86 builds unless the environment
    says otherwise.
    """
    asked = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")
    return "off" if asked.strip().lower() in ("0", "false") else "on"
