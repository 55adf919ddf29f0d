"""Devices, and the settings that must be made before TensorFlow's runtime starts.

TPUs go through ``TPUClusterResolver`` and ``TPUStrategy`` on one core, so that a batch is not
split. That path was never run on a TPU.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from nncompare.backends.base import Device

_KINDS = ("TPU", "GPU", "CPU")
_FLUSHES: dict[str, bool] = {}
"""What was found of the devices of this process."""


def devices() -> list[Device]:
    """What TensorFlow sees: TPUs, then GPUs (CUDA or ROCm, whichever TensorFlow is built for), then
    the CPU. Starts nothing.
    """
    found = []
    for kind in _KINDS:
        found += [_describe(device) for device in tf.config.list_physical_devices(kind)]
    return found


def _describe(device: Any) -> Device:
    kind = device.device_type.lower()
    index = device.name.rpartition(":")[2]
    name = platform.processor() or platform.machine() if kind == "cpu" else device.device_type
    if kind == "gpu":
        name = tf.config.experimental.get_device_details(device).get("device_name", name)
    return Device(kind=kind, id=f"/{device.device_type}:{index}", name=name)


def configure(device: Device, *, threads: int, tf32: bool, deterministic: bool) -> None:
    """Sets threads, visible devices, precision and determinism for this process.

    Threads and visible devices are fixed once TensorFlow has started, which is at the first session
    of a process; a later session may only ask for the same. Determinism, once on, stays on.

    Args:
        device: of the session.
        threads: of one operation; operations run one after the other.
        tf32: float32 products may be rounded to TF32, as TensorFlow ships.
        deterministic: only kernels that repeat bit for bit.

    Raises:
        RuntimeError: TensorFlow has started with other threads or devices.
    """
    set_threads(threads)
    _show(tf.config.list_physical_devices("GPU") if device.kind == "gpu" else [])
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def set_threads(wanted: int) -> None:
    """Threads of one operation; operations run one after the other."""
    # Only what differs is set, here and below: once started, TensorFlow refuses to be told
    # anything, even what it was told before.
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


@dataclass(frozen=True)
class Placement:
    """Where variables live and functions run.

    Args:
        device: one device.
        strategy: ``TPUStrategy`` on one core, else None.
    """

    device: Device
    strategy: Any = None

    @property
    def integer(self) -> tf.DType:
        """Type of row numbers, tokens and labels. GPU kernels keep int32 in host memory, which
        would cost a copy a step; int64 lives on the device.
        """
        return tf.int64 if self.device.kind == "gpu" else tf.int32

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """In it variables and tensors are made on the device."""
        if self.strategy is None:
            return tf.device(self.device.id)  # type: ignore[no-any-return]  # TensorFlow is untyped
        return self.strategy.scope()  # type: ignore[no-any-return]

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Runs a ``tf.function`` on the device."""
        if self.strategy is None:
            with tf.device(self.device.id):
                return function(*arguments)
        return self.strategy.run(function, arguments)

    def synchronize(self) -> None:
        """Returns when the device is idle. CPU functions have ended when they return."""
        if self.device.kind != "cpu":
            tf.test.experimental.sync_devices()

    def peak_bytes(self) -> int | None:
        """Largest memory so far on a GPU, in bytes; None elsewhere (TensorFlow keeps no count)."""
        if self.device.kind != "gpu":
            return None
        return int(tf.config.experimental.get_memory_info(self.device.id.lstrip("/"))["peak"])

    @property
    def flushes_denormals(self) -> bool:
        """Whether a product below the smallest normal float32 becomes zero, found by computing one.
        The same for every session of a process, so that a search does not trace the probe for each
        trial.
        """
        if self.device.id not in _FLUSHES:
            with self.scope():
                product = tf.function(lambda x: x * x)(tf.constant(1e-20, tf.float32))
            _FLUSHES[self.device.id] = float(product) == 0.0
        return _FLUSHES[self.device.id]

    @property
    def tf32(self) -> str:
        """Whether float32 products are rounded to TF32: only GPUs can."""
        enabled = tf.config.experimental.tensor_float_32_execution_enabled()
        return "on" if self.device.kind == "gpu" and enabled else "off"


def place(device: Device) -> Placement:
    """Takes the device; connects to a TPU."""
    if device.kind != "tpu":
        return Placement(device)
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
    tf.config.experimental_connect_to_cluster(resolver)
    topology = tf.tpu.experimental.initialize_tpu_system(resolver)
    core = tf.tpu.experimental.DeviceAssignment.build(topology, num_replicas=1)
    strategy = tf.distribute.TPUStrategy(resolver, experimental_device_assignment=core)
    return Placement(device, strategy)


def threads() -> int:
    """Threads of one operation."""
    return int(tf.config.threading.get_intra_op_parallelism_threads())


def onednn() -> bool:
    """Whether TensorFlow's CPU kernels come from oneDNN: on in x86 builds unless the environment
    says otherwise.
    """
    asked = os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")
    return asked.strip().lower() not in ("0", "false")
