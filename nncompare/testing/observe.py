"""Puts one backend through one case and writes down what it does. Knows no framework."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from nncompare.backends import native
from nncompare.backends.base import Array, Backend, Params, Piece, Session, TokenwiseSession
from nncompare.errors import Refused
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.semantics import ALIGNED, Semantics
from nncompare.spec.job import Job
from nncompare.testing.case import SEED, Case
from nncompare.worker.pieces import FixedGate, pieces_of


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a session gave, and what its backend declared.

    Args:
        job: as the backend resolves it.
        semantics: what its layers and optimizers mean for this job.
        loaded: ``params`` right after ``load``.
        predicted: ``predict`` of the test part at the loaded weights.
        outputs, training_outputs: every node's, for the examples of the first step.
        loss, gradients: of the first step.
        untouched: ``params`` after all of the above.
        weights: ``params`` before each step and after the last, trained one step a piece.
        losses: what each of these pieces gave to the gate.
        step_losses, step_gradients: ``loss_and_gradients`` at each of ``weights`` for that step's
            rows.
        step_squares: the sums of squared gradients of embeddings' tables beside them, if the
            session tells them.
        trained: ``predict`` of the test part at the last of ``weights``, in the session that
            trained.
        whole_weights, whole_losses: after a second training from ``load``, one epoch a piece.
        stopped_weights: after a third, which the gate ended after one epoch.
        starts: the initial weights of three sessions; the last one's seed is another.
        given_start: those of the first two that the case names an initializer for.
    """

    job: Job
    semantics: Semantics
    loaded: Params
    predicted: Array
    outputs: dict[str, Array]
    training_outputs: dict[str, Array]
    loss: float
    gradients: Params
    untouched: Params
    weights: list[Params]
    losses: list[float]
    step_losses: list[float]
    step_gradients: list[Params]
    step_squares: list[Params]
    trained: Array
    whole_weights: Params | None = None
    whole_losses: list[float] | None = None
    stopped_weights: Params | None = None
    starts: list[Params] | None = None
    given_start: Params = field(default_factory=dict)


def observe(backend: Backend, case: Case, runtime: str) -> Observation:
    """Opens a session for the case and asks everything of it.

    Raises:
        Refused: the backend says why it cannot run the job.
        AssertionError: it breaks the protocol of the gate.
    """
    job = case.job(runtime)
    reason = backend.why_not(job)
    if reason is None and job.native:
        reason = _why_not_natively(backend)
    if reason is not None:
        raise Refused(reason)
    job = backend.resolve(job)
    semantics = backend.semantics(job) if job.native else ALIGNED
    session = backend.open(job, case.data)
    try:
        seen = _observe(session, case, job)
    finally:
        session.close()
    if "start" in case.check:
        seen |= _observe_starts(backend, case, job)
    return Observation(job=job, semantics=semantics, **seen)


def _why_not_natively(backend: Backend) -> str | None:
    """Why there is nothing to hold the backend to in the native convention, or None."""
    for name in ("resolve", "semantics"):
        if not hasattr(backend, name):
            return f"it declares nothing for the native convention: the backend has no {name}()"
    return None


def _observe(session: Session, case: Case, job: Job) -> dict[str, Any]:
    """Everything of one session, by its names in ``Observation``."""
    plan = case.plan(job)
    test_x = case.data.test.x
    batch_x = case.data.train.x[plan.rows(0)]
    found: dict[str, Any] = {}

    # first what a session says when nothing has been trained: looking must not change it
    session.load(case.params)
    found["loaded"] = session.params()
    found["predicted"] = session.predict(test_x)
    found["outputs"] = session.outputs(batch_x)
    found["training_outputs"] = session.outputs(batch_x, training=True)
    found["loss"], found["gradients"] = session.loss_and_gradients(plan.rows(0))
    found["untouched"] = session.params()

    # then one step a piece, so that the gate sees the weights between any two steps
    session.load(case.params)
    weights, found["losses"] = _train(session, plan, pieces_of(plan, 1))
    found["weights"] = weights
    found["trained"] = session.predict(test_x)
    found |= _train_again(session, case, plan)

    # last the gradient at each of these weights, which the updates are judged with
    step_losses = []
    step_gradients = []
    step_squares = []
    for step in range(plan.steps):
        rows = plan.rows(step)
        session.load(weights[step])
        step_loss, step_gradient = session.loss_and_gradients(rows)
        step_losses.append(step_loss)
        step_gradients.append(step_gradient)
        squares: Params = {}
        # a native optimizer may see an embedding's gradient token by token
        if job.native and isinstance(session, TokenwiseSession):
            squares = session.table_squares(rows)
        step_squares.append(squares)
    found["step_losses"] = step_losses
    found["step_gradients"] = step_gradients
    found["step_squares"] = step_squares
    return found


def _observe_starts(backend: Backend, case: Case, job: Job) -> dict[str, Any]:
    """The weights that a training starts from, of three sessions that have trained nothing."""
    starts = []
    for seed in (SEED, SEED, SEED + 1):
        drawn = replace(job, seed=seed)
        session = backend.open(drawn, case.data)
        try:
            session.load(native.start(drawn))
            starts.append(session.params())
        finally:
            session.close()
    return {"starts": starts, "given_start": native.start(job)}


def _train(
    session: Session, plan: BatchPlan, pieces: list[Piece]
) -> tuple[list[Params], list[float]]:
    """The weights before each piece and after the last, and what each gave to the gate."""
    weights: list[Params] = []
    gate = FixedGate(pieces, before=lambda _piece: weights.append(session.params()))
    session.train(plan, gate)
    assert gate.ended, "train returned before the gate had said None"
    assert len(gate.losses) == len(pieces), (
        f"{len(pieces)} pieces, but done() was called {len(gate.losses)} times"
    )
    weights[-1] = session.params()  # nothing may move after the gate has ended
    return weights, gate.losses


def _train_again(session: Session, case: Case, plan: BatchPlan) -> dict[str, Any]:
    """Trainings from the same weights in other pieces, as far as the case asks for them."""
    more: dict[str, Any] = {}
    if "pieces" in case.check:
        session.load(case.params)
        weights, more["whole_losses"] = _train(session, plan, pieces_of(plan))
        more["whole_weights"] = weights[-1]
    if "stop" in case.check:
        session.load(case.params)
        weights, _ = _train(session, plan, pieces_of(plan, epochs=1))
        more["stopped_weights"] = weights[-1]
    return more
