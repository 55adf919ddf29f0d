"""Raw TensorFlow as a backend."""

from __future__ import annotations

import tensorflow as tf

from nncompare.backends.base import Device, Session, choose_device
from nncompare.backends.native import resolve
from nncompare.backends.tensorflow import device as devices
from nncompare.backends.tensorflow.layers import UNSUPPORTED
from nncompare.backends.tensorflow.native import DEFAULTS, semantics
from nncompare.backends.tensorflow.session import TensorflowSession
from nncompare.data.base import Data
from nncompare.errors import Refused
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job

OLDEST = (2, 19)
"""The oldest TensorFlow that this backend is written for."""
MODES = ("", "xla")


class TensorflowBackend:
    """``tensorflow`` and ``tensorflow:xla`` (see ``backends.base.Backend``)."""

    def versions(self) -> dict[str, str]:
        """TensorFlow, and on a GPU the libraries that it was built for."""
        found = {"tensorflow": tf.__version__}
        if tf.config.list_physical_devices("GPU"):
            build = tf.sysconfig.get_build_info()
            for key, name in (
                ("cuda_version", "cuda"),
                ("cudnn_version", "cudnn"),
                ("rocm_version", "rocm"),
            ):
                if build.get(key):
                    found[name] = str(build[key])
        return found

    def devices(self) -> list[Device]:
        """What TensorFlow sees, best first."""
        return devices.devices()

    def why_not(self, job: Job) -> str | None:
        """The reason why this job cannot run faithfully here, or None."""
        if tuple(int(part) for part in tf.__version__.split(".")[:2]) < OLDEST:
            wanted = ".".join(map(str, OLDEST))
            return (
                f"tensorflow {tf.__version__} is too old, {wanted} is needed: pip install -U"
                ' "nncompare[tensorflow]"'
            )
        if job.mode not in MODES:
            return f"unknown mode {job.mode!r} of tensorflow; there are: tensorflow, tensorflow:xla"
        if job.mode == "xla" and not tf.test.is_built_with_xla():
            return "this TensorFlow is built without XLA: use the runtime tensorflow"
        found = choose_device(self.devices(), job.device)
        if isinstance(found, str):
            return found
        if found.kind == "tpu" and job.dtype.name == "float64":
            return "a TPU has no float64 arithmetic: set train.dtype=float32"
        lacking = {node.layer.type for node in job.model.walk()} & UNSUPPORTED.keys()
        return "; ".join(f"{kind}: {UNSUPPORTED[kind]}" for kind in sorted(lacking)) or None

    def resolve(self, job: Job) -> Job:
        """A native job with TensorFlow's defaults for what the file leaves open."""
        return resolve(job, DEFAULTS)

    def semantics(self, job: Job) -> Semantics:
        """TensorFlow's own in the native convention, else the canonical ones."""
        return semantics(job) if job.native else ALIGNED

    def open(self, job: Job, data: Data) -> Session:
        """Lowers the model and stages the training part on the device.

        Raises:
            Refused: ``why_not`` has a reason.
        """
        reason = self.why_not(job)
        if reason is not None:
            raise Refused(reason)
        device = choose_device(self.devices(), job.device)
        assert isinstance(device, Device), "why_not has refused"
        devices.configure(job, device)
        return TensorflowSession(self.resolve(job), data, devices.place(device))
