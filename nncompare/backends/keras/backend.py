"""Keras 3 on TensorFlow as ``backends.base.Backend``."""

from __future__ import annotations

import keras
import tensorflow as tf

from nncompare.backends.backend import BaseBackend
from nncompare.backends.base import Device, Session
from nncompare.backends.engines.tensorflow import runtime
from nncompare.backends.keras import layers  # noqa: F401 - registers every layer
from nncompare.backends.keras.lowering import LOWERINGS
from nncompare.backends.keras.native import semantics
from nncompare.backends.keras.optimizers import OPTIMIZERS
from nncompare.backends.keras.session import KerasSession
from nncompare.data.base import Data
from nncompare.numerics.semantics import Semantics
from nncompare.spec.job import Job


class KerasBackend(BaseBackend):
    """``keras`` trains through ``tf.function``, ``keras:xla`` compiles the step."""

    name = "keras"
    modes = ("", "xla")
    oldest = {"keras": (3, 10), "tensorflow": (2, 19)}
    lowerings = LOWERINGS
    optimizers = OPTIMIZERS

    def versions(self) -> dict[str, str]:
        """Keras and its engine."""
        return {"keras": str(keras.__version__), "tensorflow": str(tf.__version__)}

    def devices(self) -> list[Device]:
        """What TensorFlow sees, best first."""
        return runtime.devices()

    def why_not(self, job: Job) -> str | None:
        """The reason why this job cannot run faithfully here, or None."""
        engine = keras.backend.backend()
        if engine != "tensorflow":
            return (
                f"Keras runs on {engine} here, this runtime needs TensorFlow: set"
                " KERAS_BACKEND=tensorflow"
            )
        return super().why_not(job)

    def _semantics(self, job: Job) -> Semantics:
        return semantics(job)

    def _session(self, job: Job, data: Data, device: Device) -> Session:
        return KerasSession(job, data, device)
