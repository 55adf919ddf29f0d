"""Puts one session through a parity check and writes down what it does. The parent judges it.

Quantities, in order: every layer's output and the gradient at the probe weights; a few updates; the
    trajectory; its
first epochs once more in long pieces, as they are trained in a run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from nncompare.backends.base import Array, Backend, Params, Piece, Session, TokenwiseSession
from nncompare.backends.loading import load_backend
from nncompare.data.base import Data
from nncompare.data.base import read as read_data
from nncompare.errors import Refused
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.parity import (
    ParityPlan,
    checked_examples,
    inputs_of,
    parity_plan,
    probe_params,
)
from nncompare.spec.job import Job
from nncompare.wire import declaration
from nncompare.wire.observation import Observation, evaluation_rows
from nncompare.worker.pieces import FixedGate, pieces_of

Send = Callable[..., None]


def check(job: Job, data_folder: Path, steps: int, folder: Path, send: Send) -> None:
    """The job of a ``verify`` worker: imports, builds, observes, saves into ``folder``.

    Raises:
        Refused: with the reason.
    """
    backend, job, data = ready(job, data_folder, send)
    if job.native:
        declaration.write(folder, job, backend.semantics(job))
    session = backend.open(job, data)
    try:
        device = session.device
        send(
            "built",
            device=device.kind,
            device_name=f"{device.id} ({device.name})",
            settings=session.settings(),
        )
        plan = parity_plan(job.experiment.train, len(data.train), job.seed, steps)
        seen = observe(session, job, data, plan, send)
    finally:
        session.close()
    look_at_dropout(backend, job, data, plan, seen)
    seen.save(folder)
    send("result", observed=True)


def ready(job: Job, data_folder: Path, send: Send) -> tuple[Backend, Job, Data]:
    """Imports the framework and reads the data: the backend, the job as it resolves it, the
    examples.

    Raises:
        Refused: with the reason.
    """
    backend = load_backend(job.runtime)
    send("imported", versions=backend.versions())
    if reason := backend.why_not(job):
        raise Refused(reason)
    job = backend.resolve(job)
    return backend, job, read_data(data_folder, job.signature)


def observe(session: Session, job: Job, data: Data, plan: ParityPlan, send: Send) -> Observation:
    """Everything that a full check looks at; ``send("progress", …)`` says how far it is."""
    seen = Observation()
    send("progress", what="layers and gradients", done=0, of=plan.steps)
    look(session, job, data, plan, seen)
    send("progress", what="updates", done=0, of=plan.steps)
    _updates(session, job, data, plan, seen)
    session.load(as_dtype(initial_params(job.model, job.seed), job))
    _, seen.start_gradients = session.loss_and_gradients(plan.trajectory.rows(0))
    seen.start_squares = _table_squares(session, job, plan.trajectory.rows(0), 0)
    trajectory(session, data, plan, seen, send)
    send("progress", what="long pieces", done=plan.steps, of=plan.steps)
    _whole(session, job, plan, seen)
    return seen


def look(session: Session, job: Job, data: Data, plan: ParityPlan, seen: Observation) -> None:
    """Forward pass and gradient at the probe weights; nothing is trained."""
    session.load(as_dtype(probe_params(job.model, job.seed), job))
    seen.loaded = session.params()
    x = data.train.x[plan.forward_rows]
    seen.outputs = session.outputs(x)
    seen.training_outputs = session.outputs(x, training=True)
    loss, seen.gradients = session.loss_and_gradients(plan.gradient_rows)
    seen.loss = {"": np.array(loss, np.float64)}


def look_at_dropout(
    backend: Backend, job: Job, data: Data, plan: ParityPlan, seen: Observation
) -> None:
    """One pass in training mode with the masks that the framework draws, as a run draws them; the
    rest of a check has the shared masks in their place.
    """
    names = list(job.model.drop_rates)
    if job.dropout != "masks" or not names:
        return
    session = backend.open(replace(job, dropout="framework"), data)
    try:
        session.load(as_dtype(probe_params(job.model, job.seed), job))
        drawn = session.outputs(data.train.x[plan.dropout_rows], training=True)
    finally:
        session.close()
    before = inputs_of(job.model.nodes)
    kept = {*names, *(before[name] for name in names)}
    seen.drawn = {name: value for name, value in drawn.items() if name in kept}


QUICK_STEPS = 10
"""Of the short form of a check, after a training."""


def quick(session: Session, job: Job, data: Data) -> Observation:
    """The short form: layers and gradient at the probe weights, then ``QUICK_STEPS`` of training.

    In the job's own dtype, on the session that has just trained.
    """
    examples = checked_examples(len(data.train), job.experiment.train.batch_size, QUICK_STEPS)
    plan = parity_plan(job.experiment.train, examples, job.seed, QUICK_STEPS)
    seen = Observation()
    look(session, job, data, plan, seen)
    session.load(as_dtype(initial_params(job.model, job.seed), job))
    pieces = pieces_of(plan.trajectory, 1)[:QUICK_STEPS]
    seen.losses = {"": np.array(_train(session, plan.trajectory, pieces, lambda _: None))}
    seen.checkpoints = {QUICK_STEPS: session.params()}
    return seen


def as_dtype(params: Params, job: Job) -> Params:
    return {name: value.astype(job.dtype) for name, value in params.items()}


def _updates(session: Session, job: Job, data: Data, plan: ParityPlan, seen: Observation) -> None:
    """The gradient of each step is asked for in the midst of training, and every layer after it, so
    that a number which ``params`` does not show counts in both.
    """
    session.load(as_dtype(probe_params(job.model, job.seed), job))
    pieces = pieces_of(plan.updates, 1)[: plan.update_steps]

    def keep(piece: Piece | None) -> None:
        step = len(seen.update_weights)
        seen.update_weights[step] = session.params()
        if piece is not None:
            rows = plan.updates.rows(step)
            _, seen.update_gradients[step] = session.loss_and_gradients(rows, step=step)
            if squares := _table_squares(session, job, rows, step):
                seen.update_squares[step] = squares

    seen.update_losses = {"": np.array(_train(session, plan.updates, pieces, keep))}
    seen.update_outputs = session.outputs(data.train.x[plan.forward_rows])


def _table_squares(session: Session, job: Job, rows: Array, step: int) -> Params:
    """What the native optimizer may see besides the gradients of a step."""
    if job.native and isinstance(session, TokenwiseSession):
        return session.table_squares(rows, step)
    return {}


def trajectory(
    session: Session, data: Data, plan: ParityPlan, seen: Observation, send: Send
) -> None:
    """The training, from the weights that were loaded: losses, checkpoints and what ``predict``
    gives.
    """
    marks = {0, *plan.checkpoints}
    evaluated = data.test.x[evaluation_rows(len(data.test))]

    def keep(piece: Piece | None) -> None:
        done = plan.steps if piece is None else piece.begin
        if done in marks:
            seen.checkpoints[done] = session.params()
        if done == plan.trajectory.steps_per_epoch and piece is not None:
            # in the midst of training, where a run evaluates, too: nothing may change by it
            seen.epoch_logits = {"": session.predict(evaluated)}
        if done % 10 == 0:
            send("progress", what="trajectory", done=done, of=plan.steps)

    pieces = pieces_of(plan.trajectory, 1)[: plan.steps]
    seen.losses = {"": np.array(_train(session, plan.trajectory, pieces, keep))}
    seen.logits = {"": session.predict(evaluated)}


def _whole(session: Session, job: Job, plan: ParityPlan, seen: Observation) -> None:
    if plan.whole_epochs:
        session.load(as_dtype(initial_params(job.model, job.seed), job))
        pieces = [
            Piece(begin, end, begin // plan.trajectory.steps_per_epoch)
            for begin, end in plan.whole_pieces
        ]
        seen.whole_losses = {"": np.array(_train(session, plan.trajectory, pieces, lambda _: None))}
        seen.whole = session.params()


def _train(
    session: Session, plan: BatchPlan, pieces: list[Piece], before: Callable[[Piece | None], None]
) -> list[float]:
    gate = FixedGate(pieces, before)
    session.train(plan, gate)
    if not gate.ended or len(gate.losses) != len(pieces):
        raise RuntimeError(
            f"the training loop did {len(gate.losses)} of {len(pieces)} pieces and then returned"
        )
    return gate.losses


__all__ = [
    "QUICK_STEPS",
    "Array",
    "as_dtype",
    "check",
    "look",
    "look_at_dropout",
    "observe",
    "quick",
    "ready",
    "trajectory",
]
