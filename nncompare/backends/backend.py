"""What every backend does alike: refusing a job with a reason, and opening a session."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nncompare.backends.base import Backend, Device, Session, choose_device
from nncompare.backends.native import Defaults, resolve
from nncompare.backends.registry import Registry
from nncompare.data.base import Data
from nncompare.errors import Refused
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.frozen import Frozen
from nncompare.spec.job import Job
from nncompare.spec.layers import LAYERS, Layer
from nncompare.spec.training import OPTIMIZERS


class BaseBackend(Backend):
    """What is alike; a subclass names its facts and adds its own refusals."""

    name: ClassVar[str]
    """Of the plain runtime, and of the extra that installs it."""
    modes: ClassVar[tuple[str, ...]]
    """Execution modes, ``""`` for the plain one."""
    oldest: ClassVar[Mapping[str, tuple[int, ...]]]
    """Package -> the oldest version that this backend is written for."""
    lowerings: ClassVar[Registry[Layer, Callable[..., Any]]]
    optimizers: ClassVar[Registry[Frozen, Callable[..., Any]]]

    def why_not(self, job: Job) -> str | None:
        """The reason why this job cannot run faithfully here, or None."""
        # an old framework may lack what the checks below ask of it
        if reason := self._why_not_version():
            return reason
        if job.mode not in self.modes:
            known = ", ".join(f"{self.name}:{mode}" if mode else self.name for mode in self.modes)
            return f"unknown mode {job.mode!r} of {self.name}; there are: {known}"
        device = choose_device(self.devices(), job.device)
        if isinstance(device, str):
            return device  # not a device, but why there is none
        # by the words of the file, not the names of our classes; each layer's once
        lacking: dict[str, str] = {}
        for node in job.model.walk():
            if reason := self.lowerings.why_not(type(node.layer)):
                lacking[node.layer.type] = reason
        if lacking:
            return "; ".join(f"{kind}: {reason}" for kind, reason in lacking.items())
        # of the hardware, whichever framework drives it
        if device.kind == "tpu" and job.dtype.name == "float64":
            return "a TPU has no float64 arithmetic; use train.dtype=float32 or --device cpu"
        return self._why_not_here(job, device)

    def _why_not_version(self) -> str | None:
        versions = self.versions()
        for package, oldest in self.oldest.items():
            if _numbers(versions[package]) < oldest:
                wanted = ".".join(map(str, oldest))
                return (
                    f"{package} {versions[package]} is too old, {wanted} is needed: pip install -U"
                    f' "{package}>={wanted}"'
                )
        return None

    def _why_not_here(self, job: Job, device: Device) -> str | None:
        """A reason of this framework alone, on the device that the job would run on."""
        return None

    def _why_not_data(self, job: Job, data: Data) -> str | None:
        """A reason that lies in the data."""
        return None

    @property
    def defaults(self) -> Defaults:
        """The framework's own values for what a native file leaves open."""
        kinds: dict[str, type[Frozen]] = {**LAYERS, **OPTIMIZERS}
        own: dict[Any, Mapping[str, Any]] = {**self.lowerings.defaults, **self.optimizers.defaults}
        found = {}
        for name, kind in kinds.items():
            for field, value in own.get(kind, {}).items():
                found[f"{name}.{field}"] = value
        return found

    def resolve(self, job: Job) -> Job:
        """A native job with the framework's defaults for what the file leaves open."""
        return resolve(job, self.defaults)

    def semantics(self, job: Job) -> Semantics:
        """The framework's own in the native convention, else the canonical ones."""
        return self._semantics(job) if job.native else ALIGNED

    @abstractmethod
    def _semantics(self, job: Job) -> Semantics:
        """What the framework's layers and optimizers mean as it ships them."""

    def open(self, job: Job, data: Data) -> Session:
        """Lowers the model and stages the training part on the device.

        Raises:
            Refused: there is a reason against it.
        """
        reason = self.why_not(job) or self._why_not_data(job, data)
        if reason is not None:
            raise Refused(reason)
        # the same question as in ``why_not``, with the same answer
        device = choose_device(self.devices(), job.device)
        assert isinstance(device, Device), "why_not has found the device"
        return self._session(self.resolve(job), data, device)

    @abstractmethod
    def _session(self, job: Job, data: Data, device: Device) -> Session:
        """The session of a resolved job that can run on ``device``."""


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor version; what follows them may be no number (``2.13.0+cpu``)."""
    return tuple(int(part) for part in version.split(".")[:2])
