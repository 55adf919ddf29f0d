"""What every session does alike: checks, chunks, the order of a training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from nncompare.backends.base import EVALUATION_BATCH, Array, Device, Gate, Params, Piece, Session
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job


class BaseSession(Session):
    """What is alike; a subclass supplies what its framework does.

    Args:
        job: what is trained, with open values filled in.
        device: where.
    """

    def __init__(self, job: Job, device: Device):
        self.job = job
        self.device = device
        # resolving the model again for every question would cost more than the answers
        self.model = job.model
        self._parameters = self.model.parameters

    # --- weights

    def load(self, params: Params) -> None:
        """Weights and running statistics := ``params``; optimizer state := fresh.

        Nothing changes unless everything fits.

        Raises:
            KeyError: a name that the model lacks, or in the aligned convention the other way round.
            ValueError: another shape.
        """
        known = set(self._names())
        # a native session keeps its framework's own draw of what is not given
        wrong = params.keys() - known if self.job.native else params.keys() ^ known
        if wrong:
            raise KeyError(f"parameters that only one side has: {', '.join(sorted(wrong))}")
        for name, array in params.items():
            wanted = self._shape(name)
            if array.shape != wanted:
                raise ValueError(f"{name}: shape {array.shape}, the model has {wanted}")
        for name in self._names():
            if name in params:
                self._write(name, np.asarray(params[name], self.job.dtype))
            elif self._partner(name) in params:
                # canonical weights give the canonical function: what the framework adds is 0
                self._write(name, np.zeros(self._shape(name), self.job.dtype))
        self._restart()

    def _shape(self, name: str) -> tuple[int, ...]:
        """The canonical shape; a parameter that only the framework has is as large as its
        partner.
        """
        return self._parameters[self._partner(name) or name].shape

    def params(self) -> Params:
        """Copies of all weights and running statistics."""
        return {name: self._read(name) for name in self._names()}

    @abstractmethod
    def _names(self) -> Collection[str]:
        """All parameters and running statistics."""

    @abstractmethod
    def _read(self, name: str) -> Array:
        """A copy in canonical layout."""

    @abstractmethod
    def _write(self, name: str, array: Array) -> None:
        """One parameter := ``array``, given in canonical layout."""

    def _partner(self, name: str) -> str | None:
        """Of a parameter that only this framework has: the canonical parameter to which it is
        added.
        """
        return None

    @abstractmethod
    def _restart(self) -> None:
        """Fresh optimizer state, so that a training can be repeated."""

    # --- looking, which changes nothing

    def predict(self, x: Array) -> Array:
        """Outputs ``(N, *model.output.shape)`` in inference mode."""
        if not len(x):
            return np.empty((0, *self.model.output.shape), self.job.dtype)
        starts = range(0, len(x), EVALUATION_BATCH)
        return self._predict([x[begin : begin + EVALUATION_BATCH] for begin in starts])

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        """Node name -> its output in canonical layout, those inside a residual included."""
        with self._undisturbed(training=training, step=0, examples=len(x)):
            found = self._outputs(x, training)
        return {node.name: found[node.name] for node in self.model.walk()}

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        """Loss with penalties and its gradients for the training examples ``rows``."""
        with self._undisturbed(training=True, step=step, examples=len(rows)):
            return self._loss_and_gradients(rows, step)

    def _undisturbed(
        self, *, training: bool, step: int, examples: int
    ) -> AbstractContextManager[None]:
        """Training or inference mode with the dropout masks of ``step`` for that many examples; at
        its end everything is as it was.
        """
        return nullcontext()

    @abstractmethod
    def _predict(self, chunks: list[Array]) -> Array:
        """Outputs of all chunks, one after the other, in inference mode."""

    @abstractmethod
    def _outputs(self, x: Array, training: bool) -> dict[str, Array]:
        """``outputs``, in the context of ``_undisturbed`` and any order."""

    @abstractmethod
    def _loss_and_gradients(self, rows: Array, step: int) -> tuple[float, Params]:
        """``loss_and_gradients``, in the context of ``_undisturbed``."""


class LoopSession(BaseSession):
    """A session whose training loop is ours. (A framework may insist on its own.)"""

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        """Runs the plan piece by piece; the order of an epoch goes to the device when it begins."""
        self._begin(plan)
        epoch_index = -1
        while (piece := gate.next()) is not None:
            if piece.epoch_index != epoch_index:
                epoch_index = piece.epoch_index
                self._begin_epoch(plan, epoch_index)
            loss = self._run(plan, piece)
            self.synchronize()
            gate.done(loss)

    def _begin(self, plan: BatchPlan) -> None:
        """Before the first piece of a plan."""

    @abstractmethod
    def _begin_epoch(self, plan: BatchPlan, epoch_index: int) -> None:
        """Stages the order of one epoch."""

    @abstractmethod
    def _run(self, plan: BatchPlan, piece: Piece) -> float:
        """The steps of one piece: the mean of their losses over the piece's examples."""
