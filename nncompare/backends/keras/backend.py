"""Keras 3 on TensorFlow as a backend."""

from __future__ import annotations

import keras
import tensorflow as tf

from nncompare.backends.base import Device, Session, choose_device
from nncompare.backends.keras import device as devices
from nncompare.backends.keras.layers import UNSUPPORTED
from nncompare.backends.keras.native import DEFAULTS, semantics
from nncompare.backends.keras.session import KerasSession
from nncompare.backends.native import resolve
from nncompare.data.base import Data
from nncompare.errors import Refused
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job

OLDEST = {"keras": (3, 10), "tensorflow": (2, 19)}
"""The oldest versions that this backend is written for."""


class KerasBackend:
    """``keras`` and ``keras:xla`` (see ``backends.base.Backend``)."""

    def versions(self) -> dict[str, str]:
        """Keras and its engine."""
        return {"keras": keras.__version__, "tensorflow": tf.__version__}

    def devices(self) -> list[Device]:
        """What TensorFlow sees, best first."""
        return devices.devices()

    def why_not(self, job: Job) -> str | None:
        """The reason why this job cannot run faithfully here, or None."""
        engine = keras.backend.backend()
        if engine != "tensorflow":
            return (
                f"Keras runs on {engine} here, this runtime needs TensorFlow: set"
                " KERAS_BACKEND=tensorflow"
            )
        for name, version in self.versions().items():
            if _numbers(version) < OLDEST[name]:
                wanted = ".".join(map(str, OLDEST[name]))
                return (
                    f"{name} {version} is too old, {wanted} is needed: pip install -U"
                    ' "nncompare[keras]"'
                )
        found = choose_device(self.devices(), job.device)
        if isinstance(found, str):
            return found
        lacking = {node.layer.type for node in job.model.walk()} & UNSUPPORTED.keys()
        return "; ".join(f"{kind}: {UNSUPPORTED[kind]}" for kind in sorted(lacking)) or None

    def resolve(self, job: Job) -> Job:
        """A native job with Keras's defaults for what the file leaves open."""
        return resolve(job, DEFAULTS)

    def semantics(self, job: Job) -> Semantics:
        """Keras's own in the native convention, else the canonical ones."""
        return semantics(job) if job.native else ALIGNED

    def open(self, job: Job, data: Data) -> Session:
        """Builds and compiles the model.

        Raises:
            Refused: ``why_not`` has a reason.
        """
        reason = self.why_not(job)
        if reason is not None:
            raise Refused(reason)
        device = choose_device(self.devices(), job.device)
        assert isinstance(device, Device), "why_not has refused"
        devices.configure(job, device)
        return KerasSession(self.resolve(job), data, device)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
