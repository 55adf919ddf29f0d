"""The boundary between nncompare and a framework.

A backend owns its loop, in its framework's own idiom; the gate owns the clock. Arrays cross the
boundary in NumPy and in the canonical layouts of ``numerics.layout``; a backend that stores another
layout converts in ``load`` and ``params``, never in the training step.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from numpy.typing import NDArray

from nncompare.data.base import Data
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.semantics import Semantics
from nncompare.spec.experiment import DeviceName
from nncompare.spec.job import Job

Array = NDArray[Any]
Params = dict[str, Array]
"""Canonical name (``dense_1.kernel``) -> array in canonical layout, running statistics included."""

EVALUATION_BATCH = 1024
"""Examples a chunk in ``predict``, the same for every backend."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device that a framework sees.

    Args:
        kind: ``cpu``, ``gpu`` or ``tpu``.
        id: the framework's own name, ``cuda:0``, ``/GPU:0``.
        name: the hardware's name, as far as the framework knows it.
    """

    kind: Literal["cpu", "gpu", "tpu"]
    id: str
    name: str


class Piece(NamedTuple):
    """Steps ``begin…end - 1`` of the whole training, all of one epoch.

    ``epoch_index`` counts from 0, as an array's rows; an ``epoch`` is counted from 1.
    """

    begin: int
    end: int
    epoch_index: int


class Gate(Protocol):
    """Hands out pieces of the plan and times them. The loop of every session is::

    while (piece := gate.next()) is not None:
        ...                       # run the piece's steps
        self.synchronize()
        gate.done(mean_loss)
    """

    def next(self) -> Piece | None:
        """The next piece, or None when training is over (or was stopped early).

        Waits for the parent's word, evaluates when an epoch has ended (it calls ``predict`` and
        ``params`` of the session, outside the clock), and reads the clock last.
        """

    def done(self, loss: float) -> None:
        """Ends a piece; the device must be idle. ``loss``: mean over the piece's examples of the
        minimized loss (penalties included), each batch at the weights before its step.
        """


class Session(Protocol):
    """One built model on one device inside one worker."""

    device: Device

    def load(self, params: Params) -> None:
        """Weights and running statistics := ``params``; optimizer state := fresh.

        Aligned: ``params`` names every parameter. Native: those that it leaves out keep their
        values, which in a new session are the framework's own start, so that
        ``load(native.start(job))`` starts a training in both conventions. A parameter that only the
        framework has (``lstm_1.recurrent_bias`` of PyTorch) becomes 0 if its canonical partner
        (``lstm_1.bias``) is given without it: canonical weights give the canonical function.
        """

    def params(self) -> Params:
        """Copies of all weights and running statistics; native: also parameters that only this
        framework has.
        """

    def predict(self, x: Array) -> Array:
        """Logits or values ``(N, …)`` in inference mode, computed in chunks of
        ``EVALUATION_BATCH``.
        """

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        """Node name -> its output in canonical layout, for one batch. ``training``: batch
        statistics and the dropout masks of step 0 (only with ``Job.dropout == "masks"``); running
        statistics stay as they are.
        """

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        """Loss (penalties included) and its gradients for the training examples ``rows``, in
        training mode with the masks of ``step``, before clipping. Nothing changes: no update, no
        running statistics.
        """

    @abstractmethod
    def train(self, plan: BatchPlan, gate: Gate) -> None:
        """Runs the plan from its first step, piece by piece."""

    @abstractmethod
    def synchronize(self) -> None:
        """Returns when the device is idle."""

    @abstractmethod
    def peak_bytes(self) -> int | None:
        """Largest device memory so far, as the framework reports it; None on CPU (the worker reads
        the process).
        """

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Effective settings that could differ between runtimes, for the ledger: name -> value."""

    @abstractmethod
    def close(self) -> None:
        """Frees the device."""


@runtime_checkable
class TokenwiseSession(Protocol):
    """What a session offers besides, if its native optimizer may see the gradient of an embedding's
    table token by token.
    """

    def table_squares(self, rows: Array, step: int = 0) -> Params:
        """For every table the sum of squared gradients over the occurrences of each token,
        ``(vocabulary, units)``, of the loss that ``loss_and_gradients`` gives.
        """


class Backend(Protocol):
    """One framework. Importing its module imports the framework."""

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """``{"torch": "2.13.0", …}``: the framework and what computes for it."""

    @abstractmethod
    def devices(self) -> list[Device]:
        """What the framework sees, best first."""

    def why_not(self, job: Job) -> str | None:
        """The reason why this job cannot run faithfully here, or None."""

    def resolve(self, job: Job) -> Job:
        """A native job with every value that the file leaves open filled in with the framework's
        default (``native.resolve``), the learning rate of the plan among them; an aligned job as it
        is.
        """

    def semantics(self, job: Job) -> Semantics:
        """What layers and optimizers mean here where frameworks differ: in the native convention
        the framework's own, which ``verify`` holds it to; else ``ALIGNED``.
        """

    def open(self, job: Job, data: Data) -> Session:
        """Lowers every layer and stages the data on the device; resolves the job first."""


def choose_device(devices: list[Device], asked: DeviceName) -> Device | str:
    """The device for a request, or the reason why there is none."""
    if asked == "auto":
        return devices[0]
    for device in devices:
        if device.kind == asked:
            return device
    seen = ", ".join(f"{device.kind} ({device.name})" for device in devices)
    return f"no {asked} here: the framework sees {seen}"
