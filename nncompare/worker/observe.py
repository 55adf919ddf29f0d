"""Puts one session through a parity check and writes down what it does. The parent judges it.

Quantities, in order: every layer's output and the gradient at the probe weights; a few updates; the
trajectory; its first epochs once more in long pieces, as they are trained in a run.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from nncompare.backends.base import Array, Backend, Params, Piece, Session, TokenwiseSession
from nncompare.data.base import Data
from nncompare.data.base import read as read_data
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
from nncompare.spec.model import Model
from nncompare.wire import declaration
from nncompare.wire.connection import Send
from nncompare.wire.messages import Built, CheckProgress
from nncompare.wire.observation import QUICK_STEPS, Observation, evaluation_rows
from nncompare.wire.requests import CheckRequest, PerturbedRequest
from nncompare.worker.importing import agreed, import_framework
from nncompare.worker.pieces import FixedGate, pieces_of

_TELL_EVERY = 10
"""Steps of the trajectory between two messages about how far it is."""


def check(request: CheckRequest, folder: Path, send: Send) -> None:
    """The job of a ``verify`` worker: imports, builds, observes, saves into ``folder``.

    Raises:
        Refused: with the reason.
    """
    backend, job, data = prepare(request, send)
    # the parent has no framework to ask for its defaults
    if job.native:
        declaration.write(folder, job, backend.semantics(job))
    plan = parity_plan(job.experiment.train, len(data.train), job.seed, request.steps)
    with closing(backend.open(job, data)) as session:
        send(Built(device=session.device, settings=session.settings()))
        observation = observe(session, job, data, plan, send)
    observe_dropout(backend, job, data, plan, observation)
    observation.save(folder)


def prepare(request: CheckRequest | PerturbedRequest, send: Send) -> tuple[Backend, Job, Data]:
    """Imports the framework and reads the data: the backend, the job as it resolves it, the
    examples.

    Raises:
        Refused: with the reason.
    """
    backend = import_framework(request.runtime, send)
    job = agreed(backend, request.job)
    return backend, job, read_data(request.data, job.signature)


def observe(session: Session, job: Job, data: Data, plan: ParityPlan, send: Send) -> Observation:
    """Everything that a full check looks at; ``progress`` says how far it is."""
    observation = Observation()
    send(CheckProgress(what="layers and gradients", done=0, of=plan.steps))
    observe_probe(session, job, data, plan, observation)
    send(CheckProgress(what="updates", done=0, of=plan.steps))
    _observe_updates(session, job, data, plan, observation)
    load(session, job, initial_params)
    rows = plan.trajectory.rows(0)
    _, observation.start_gradients = session.loss_and_gradients(rows)
    observation.start_squares = _table_squares(session, job, rows, 0)
    observe_trajectory(session, data, plan, observation, send)
    send(CheckProgress(what="long pieces", done=plan.steps, of=plan.steps))
    _observe_long_pieces(session, job, plan, observation)
    return observation


def observe_probe(
    session: Session, job: Job, data: Data, plan: ParityPlan, observation: Observation
) -> None:
    """Forward pass and gradient at the probe weights; nothing is trained."""
    load(session, job, probe_params)
    observation.loaded = session.params()
    x = data.train.x[plan.forward_rows]
    observation.outputs = session.outputs(x)
    observation.training_outputs = session.outputs(x, training=True)
    loss, observation.gradients = session.loss_and_gradients(plan.gradient_rows)
    observation.loss = {"": np.array(loss, np.float64)}


def observe_dropout(
    backend: Backend, job: Job, data: Data, plan: ParityPlan, observation: Observation
) -> None:
    """One pass in training mode with the masks that the framework draws, as a run draws them; the
    rest of a check has the shared masks in their place.
    """
    names = list(job.model.drop_rates)
    # a run that draws its own masks has been looked at with them
    if job.dropout != "masks" or not names:
        return
    with closing(backend.open(replace(job, dropout="framework"), data)) as session:
        load(session, job, probe_params)
        drawn = session.outputs(data.train.x[plan.dropout_rows], training=True)
    # a mask is read off a layer's output beside its input
    before = inputs_of(job.model.nodes)
    kept = {*names, *(before[name] for name in names)}
    observation.drawn = {name: value for name, value in drawn.items() if name in kept}


def observe_quickly(session: Session, job: Job, data: Data) -> Observation:
    """The short form: layers and gradient at the probe weights, then ``QUICK_STEPS`` of training.

    In the job's own dtype, on the session that has just trained.
    """
    examples = checked_examples(len(data.train), job.experiment.train.batch_size, QUICK_STEPS)
    plan = parity_plan(job.experiment.train, examples, job.seed, QUICK_STEPS)
    observation = Observation()
    observe_probe(session, job, data, plan, observation)
    load(session, job, initial_params)
    pieces = pieces_of(plan.trajectory, 1)[:QUICK_STEPS]
    observation.losses = _train(session, plan.trajectory, pieces)
    observation.checkpoints = {QUICK_STEPS: session.params()}
    return observation


def load(session: Session, job: Job, params_of: Callable[[Model, int], Params]) -> None:
    """Loads the weights of the job's model and seed, in its dtype."""
    params = params_of(job.model, job.seed)
    session.load({name: value.astype(job.dtype) for name, value in params.items()})


def _observe_updates(
    session: Session, job: Job, data: Data, plan: ParityPlan, observation: Observation
) -> None:
    """The gradient of each step is asked for in the midst of training, and every layer after it, so
    that a number which ``params`` does not show counts in both.
    """
    load(session, job, probe_params)
    pieces = pieces_of(plan.updates, 1)[: plan.update_steps]

    def keep(piece: Piece | None) -> None:
        step = len(observation.update_weights)
        observation.update_weights[step] = session.params()
        # after the last update there are weights, and no further gradient
        if piece is None:
            return
        rows = plan.updates.rows(step)
        _, observation.update_gradients[step] = session.loss_and_gradients(rows, step=step)
        # no optimizer but a native one looks at them
        if squares := _table_squares(session, job, rows, step):
            observation.update_squares[step] = squares

    observation.update_losses = _train(session, plan.updates, pieces, keep)
    observation.update_outputs = session.outputs(data.train.x[plan.forward_rows])


def _table_squares(session: Session, job: Job, rows: Array, step: int) -> Params:
    """What the native optimizer may see besides the gradients of a step."""
    if job.native and isinstance(session, TokenwiseSession):
        return session.table_squares(rows, step)
    return {}


def observe_trajectory(
    session: Session, data: Data, plan: ParityPlan, observation: Observation, send: Send
) -> None:
    """The training, from the weights that were loaded: losses, checkpoints and what ``predict``
    gives.
    """
    checkpoints = {0, *plan.checkpoints}
    evaluated = data.test.x[evaluation_rows(len(data.test))]

    def keep(piece: Piece | None) -> None:
        done = plan.steps if piece is None else piece.begin
        # weights of every step would fill the disk
        if done in checkpoints:
            observation.checkpoints[done] = session.params()
        if done == plan.trajectory.steps_per_epoch and piece is not None:
            # in the midst of training, where a run evaluates, too: nothing may change by it
            observation.epoch_logits = {"": session.predict(evaluated)}
        # a message of every step would cost more than a small step
        if done % _TELL_EVERY == 0:
            send(CheckProgress(what="trajectory", done=done, of=plan.steps))

    pieces = pieces_of(plan.trajectory, 1)[: plan.steps]
    observation.losses = _train(session, plan.trajectory, pieces, keep)
    observation.logits = {"": session.predict(evaluated)}


def _observe_long_pieces(
    session: Session, job: Job, plan: ParityPlan, observation: Observation
) -> None:
    """The first epochs once more, in pieces as long as a run's: a loop that is right for single
    steps may be wrong for many.
    """
    # a check that ends within its first epoch has no whole one
    if not plan.whole_epochs:
        return
    load(session, job, initial_params)
    steps_per_epoch = plan.trajectory.steps_per_epoch
    pieces = [Piece(begin, end, begin // steps_per_epoch) for begin, end in plan.whole_pieces]
    observation.whole_losses = _train(session, plan.trajectory, pieces)
    observation.whole = session.params()


def _train(
    session: Session,
    plan: BatchPlan,
    pieces: list[Piece],
    before: Callable[[Piece | None], None] | None = None,
) -> Params:
    """Trains the pieces; ``before`` is called before each of them, and once after the last.

    Returns:
        ``{"": (pieces,)}``, a mean loss for each of them.
    """
    gate = FixedGate(pieces, before)
    session.train(plan, gate)
    # a loop that leaves a piece out, or goes on after the end, must not pass for a training
    if not gate.ended or len(gate.losses) != len(pieces):
        raise RuntimeError(
            f"the training loop did {len(gate.losses)} of {len(pieces)} pieces and then returned"
        )
    return {"": np.array(gate.losses)}
