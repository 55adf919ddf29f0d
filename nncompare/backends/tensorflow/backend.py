"""Raw TensorFlow as ``backends.base.Backend``."""

from __future__ import annotations

import tensorflow as tf

from nncompare.backends.backend import BaseBackend
from nncompare.backends.base import Device, Session
from nncompare.backends.engines.tensorflow import runtime
from nncompare.backends.tensorflow import layers  # noqa: F401 - registers every layer
from nncompare.backends.tensorflow.lowering import LOWERINGS
from nncompare.backends.tensorflow.native import semantics
from nncompare.backends.tensorflow.optimizers import OPTIMIZERS
from nncompare.backends.tensorflow.session import TensorflowSession
from nncompare.data.base import Data
from nncompare.numerics.semantics import Semantics
from nncompare.spec.job import Job


class TensorflowBackend(BaseBackend):
    """``tensorflow`` traces its step, ``tensorflow:xla`` compiles it."""

    name = "tensorflow"
    modes = ("", "xla")
    oldest = {"tensorflow": (2, 19)}
    lowerings = LOWERINGS
    optimizers = OPTIMIZERS

    def versions(self) -> dict[str, str]:
        """TensorFlow, and on a GPU the libraries that it was built for."""
        found = {"tensorflow": str(tf.__version__)}
        if tf.config.list_physical_devices("GPU"):
            build = tf.sysconfig.get_build_info()
            for name in ("cuda", "cudnn", "rocm"):
                if version := build.get(f"{name}_version"):
                    found[name] = str(version)
        return found

    def devices(self) -> list[Device]:
        """What TensorFlow sees, best first."""
        return runtime.devices()

    def _semantics(self, job: Job) -> Semantics:
        return semantics(job)

    def _why_not_here(self, job: Job, device: Device) -> str | None:
        if job.mode == "xla" and not tf.test.is_built_with_xla():
            return "this TensorFlow is built without XLA: use the runtime tensorflow"
        return None

    def _session(self, job: Job, data: Data, device: Device) -> Session:
        return TensorflowSession(job, data, device)
