"""Puts one backend through one case and writes down what it does. Knows no framework."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nncompare.backends.base import Array, Backend, Params, Piece, Session
from nncompare.errors import Refused
from nncompare.testing.case import Case
from nncompare.worker.pieces import FixedGate, pieces_of


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a session gave.

    Args:
        loaded: ``params`` right after ``load``.
        predicted: ``predict`` of the test part at the loaded weights.
        outputs, training_outputs: every node's, for the examples of the first step.
        loss, gradients: of the first step.
        untouched: ``params`` after all of the above.
        weights: ``params`` before each step and after the last, trained one step a piece.
        losses: what each of these pieces gave to the gate.
        step_losses, step_gradients: ``loss_and_gradients`` at each of ``weights`` for that step's
            rows.
        trained: ``predict`` of the test part at the last of ``weights``, in the session that
            trained.
        whole_weights, whole_losses: after a second training from ``load``, one epoch a piece.
        stopped_weights: after a third, which the gate ended after one epoch.
    """

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
    trained: Array
    whole_weights: Params | None = None
    whole_losses: list[float] | None = None
    stopped_weights: Params | None = None


def observe(backend: Backend, case: Case, runtime: str) -> Observation:
    """Opens a session for the case and asks everything of it.

    Raises:
        Refused: the backend says why it cannot run the job.
        AssertionError: it breaks the protocol of the gate.
    """
    job = case.job(runtime)
    reason = backend.why_not(job)
    if reason is not None:
        raise Refused(reason)
    session = backend.open(job, case.data)
    try:
        return _observe(session, case)
    finally:
        session.close()


def _observe(session: Session, case: Case) -> Observation:
    plan = case.plan
    test_x = case.data.test.x
    # first what a session says when nothing has been trained: looking must not change it
    batch_x = case.data.train.x[plan.rows(0)]
    session.load(case.params)
    loaded = session.params()
    predicted = session.predict(test_x)
    outputs = session.outputs(batch_x)
    training_outputs = session.outputs(batch_x, training=True)
    loss, gradients = session.loss_and_gradients(plan.rows(0))
    untouched = session.params()

    # then one step a piece, so that the gate sees the weights between any two steps
    session.load(case.params)
    weights, losses = _train(session, case, pieces_of(plan, 1))
    trained = session.predict(test_x)
    more = _train_again(session, case)

    # last the gradient at each of these weights, which the updates are judged with
    step_losses = []
    step_gradients = []
    for step in range(plan.steps):
        session.load(weights[step])
        step_loss, step_gradient = session.loss_and_gradients(plan.rows(step))
        step_losses.append(step_loss)
        step_gradients.append(step_gradient)
    return Observation(
        loaded=loaded,
        predicted=predicted,
        outputs=outputs,
        training_outputs=training_outputs,
        loss=loss,
        gradients=gradients,
        untouched=untouched,
        weights=weights,
        losses=losses,
        step_losses=step_losses,
        step_gradients=step_gradients,
        trained=trained,
        **more,
    )


def _train(session: Session, case: Case, pieces: list[Piece]) -> tuple[list[Params], list[float]]:
    weights: list[Params] = []
    gate = FixedGate(pieces, before=lambda _piece: weights.append(session.params()))
    session.train(case.plan, gate)
    assert gate.ended, "train returned before the gate had said None"
    assert len(gate.losses) == len(pieces), (
        f"{len(pieces)} pieces, but done() was called {len(gate.losses)} times"
    )
    weights[-1] = session.params()  # nothing may move after the gate has ended
    return weights, gate.losses


def _train_again(session: Session, case: Case) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if "pieces" in case.check:
        session.load(case.params)
        weights, losses = _train(session, case, pieces_of(case.plan))
        more |= {"whole_weights": weights[-1], "whole_losses": losses}
    if "stop" in case.check:
        session.load(case.params)
        weights, _ = _train(session, case, pieces_of(case.plan, epochs=1))
        more |= {"stopped_weights": weights[-1]}
    return more
