"""Judges what a backend did, against the formulas of ``nncompare.numerics`` and never against
another backend.

The tolerances are those of ``docs/alignment.md``: what agreeing implementations reach in float64,
with room for another order of summation, and far below what any wrong constant causes. They are the
same in the native convention, where the formulas compute what the backend declares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from nncompare.backends.base import Params
from nncompare.numerics import differences, updates
from nncompare.numerics.keys import generator
from nncompare.testing.case import SEED, Case
from nncompare.testing.check import (
    Check,
    absolute,
    each,
    fits,
    holds,
    relative,
    relative_number,
    same_names,
)
from nncompare.testing.formulas import Formulas
from nncompare.testing.observe import Observation

FORWARD_TOLERANCE = 1e-12
LOSS_TOLERANCE = 1e-12
GRADIENT_TOLERANCE = 1e-9
UPDATE_TOLERANCE = 1e-11
DIFFERENCES_TOLERANCE = 1e-9
"""Of an update whose gradient comes from differences of the reference loss."""
PIECE_LOSS_TOLERANCE = 1e-10
DIRECTIONS = 3

Judge = Callable[[Formulas, Observation], Iterator[Check]]


def round_trip(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """``params`` after ``load`` gives back the very same numbers."""
    yield from each("round_trip", seen.loaded, formulas.start, absolute, 0.0)


def untouched(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Looking changes nothing: no weight, no running statistic."""
    yield from each("untouched", seen.untouched, formulas.start, absolute, 0.0)


def predict(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """``predict`` before and after training, the latter at the weights that the session says it
    has.
    """
    given = {"fresh": seen.predicted, "trained": seen.trained}
    expected = {
        "fresh": formulas.predict(formulas.start),
        "trained": formulas.predict(seen.weights[-1]),
    }
    yield from each("predict", given, expected, relative, FORWARD_TOLERANCE)


def outputs(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Every node in inference mode."""
    expected = formulas.outputs(training=False)
    yield from each("outputs", seen.outputs, expected, relative, FORWARD_TOLERANCE)


def training_outputs(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Every node in training mode with the masks of step 0."""
    expected = formulas.outputs(training=True)
    given = seen.training_outputs
    yield from each("training_outputs", given, expected, relative, FORWARD_TOLERANCE)


def loss(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Data loss plus penalties, in training mode with the masks of step 0, at the loaded weights
    and at those of every step.
    """
    expected = formulas.loss(formulas.start, 0, masks_of=0)
    yield _loss_check("loss", "step 0", seen.loss, expected)
    for step, given in enumerate(seen.step_losses):
        expected = formulas.loss(seen.weights[step], step, masks_of=0)
        yield _loss_check("loss", f"step {step}", given, expected)


def gradients(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Along random directions through all parameters, and through each parameter alone, the
    gradient gives the slope that central differences of the reference loss give.
    """
    quantity = "gradients"
    wanted = {name: formulas.start[name] for name in formulas.trained}
    found = seen.gradients
    yield same_names(quantity, found, wanted)
    usable = True
    for name, values in wanted.items():
        is_fit = fits(found.get(name), values)
        yield holds(quantity, f"{name}: shape and type", is_fit)
        usable = usable and is_fit and bool(np.isfinite(found[name]).all())
    if not usable:
        # a direction through a number that is not finite would tell nothing
        yield holds(quantity, "finite numbers of the right shape", False)
        return
    groups = [("all", formulas.trained)] * DIRECTIONS
    groups += [(name, [name]) for name in formulas.trained]
    stream = generator(SEED, f"conformance/{formulas.case.name}/directions")
    for what, names in groups:
        direction = {name: stream.normal(size=wanted[name].shape) for name in names}
        yield _slope(formulas, found, direction, what)


def _slope(formulas: Formulas, found: Params, direction: Params, what: str) -> Check:
    """The derivative along ``direction``, by the gradient that was found and by differences."""

    def value(params: Params) -> float:
        return formulas.loss(params, 0, masks_of=0)

    # large inputs bend the loss within a shorter way
    h = 1e-5 if formulas.case.offset < 100 else 1e-7
    expected = differences.directional_derivative(value, formulas.start, direction, h)
    given = 0.0
    squares = 0.0
    for name, d in direction.items():
        given += float((found[name] * d).sum())
        squares += float((found[name] ** 2).sum())
    # a difference of two losses is off by their rounding over the length of the way
    rounding = 8 * float(np.finfo(np.float64).eps) * abs(value(formulas.start)) / h
    tolerance = GRADIENT_TOLERANCE * float(np.sqrt(squares)) + rounding + 1e-10
    worst = abs(given - expected)
    return Check(quantity="gradients", what=what, worst=worst, tolerance=tolerance)


def update(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Every step of training is the optimizer's formula applied to the backend's own gradient at
    that step's weights, which ``gradients`` has judged. With dropout the gradient of later steps
    has other masks: there it comes from differences of the reference loss.
    """
    quantity = "update"
    yield from each(quantity, seen.weights[0], formulas.start, absolute, 0.0)
    state = updates.State()
    tolerance = UPDATE_TOLERANCE
    for step in range(formulas.plan.steps):
        before = seen.weights[step]
        after = seen.weights[step + 1]
        slope = seen.step_gradients[step]
        if formulas.case.has_dropout and step > 0:
            # loss_and_gradients was asked with the masks of step 0
            loss_at_step = partial(formulas.loss, step=step, masks_of=step)
            slope = differences.gradient(loss_at_step, before, formulas.trained)
            tolerance = DIFFERENCES_TOLERANCE
        if set(slope) != set(formulas.trained):
            # without all gradients there is no next state of the optimizer
            yield holds(quantity, f"step {step}: names", False)
            return
        expected, state = formulas.update(state, before, slope, step, seen.step_squares[step])
        for name in formulas.trained:
            worst = absolute(after.get(name), expected[name])
            what = f"step {step}: {name}"
            yield Check(quantity=quantity, what=what, worst=worst, tolerance=tolerance)


def training_loss(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """The loss of every step with its own rows and masks, at the weights before it."""
    for step, given in enumerate(seen.losses):
        expected = formulas.loss(seen.weights[step], step, masks_of=step)
        yield _loss_check("training_loss", f"step {step}", given, expected)


def running(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Running statistics after every step."""
    for step, before in enumerate(seen.weights[:-1]):
        after = seen.weights[step + 1]
        for name, values in formulas.running(before, step).items():
            yield Check(
                quantity="running",
                what=f"step {step}: {name}",
                worst=relative(after.get(name), values),
                tolerance=FORWARD_TOLERANCE,
            )


def pieces(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Whole epochs give what single steps gave: pieces, the loss of a piece, and a fresh start by
    ``load``.
    """
    assert seen.whole_weights is not None
    assert seen.whole_losses is not None
    single = seen.weights[-1]
    yield from each("pieces", seen.whole_weights, single, absolute, UPDATE_TOLERANCE)
    plan = formulas.plan
    for epoch, given in enumerate(seen.whole_losses):
        begin = epoch * plan.steps_per_epoch
        end = begin + plan.steps_per_epoch
        expected = plan.mean_loss(begin, end, np.asarray(seen.losses[begin:end]))
        yield Check(
            quantity="pieces",
            what=f"loss of epoch {epoch}",
            worst=relative_number(given, expected),
            tolerance=PIECE_LOSS_TOLERANCE,
        )


def stop(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """Ended after one epoch, the weights are those after one epoch."""
    assert seen.stopped_weights is not None
    expected = seen.weights[formulas.plan.steps_per_epoch]
    yield from each("stop", seen.stopped_weights, expected, absolute, UPDATE_TOLERANCE)


def start(formulas: Formulas, seen: Observation) -> Iterator[Check]:
    """The framework's own initial weights, in the native convention: what the file names is loaded,
    the rest is drawn, and the seed alone decides how.
    """
    quantity = "start"
    assert seen.starts is not None
    first, again, other = seen.starts
    yield same_names(quantity, first, formulas.start)
    for name, values in seen.given_start.items():
        worst = absolute(first.get(name), values)
        yield Check(quantity=quantity, what=f"{name}: as named", worst=worst, tolerance=0.0)
    yield from each(quantity, again, first, absolute, 0.0)
    drawn = [name for name, values in first.items() if np.unique(values).size > 2]
    yield holds(quantity, "anything drawn", bool(drawn))
    for name in drawn:
        moved = not np.array_equal(first[name], other[name])
        yield holds(quantity, f"{name}: another seed, other weights", moved)


QUANTITIES: dict[str, Judge] = {
    "round_trip": round_trip,
    "predict": predict,
    "outputs": outputs,
    "training_outputs": training_outputs,
    "loss": loss,
    "gradients": gradients,
    "untouched": untouched,
    "update": update,
    "training_loss": training_loss,
    "running": running,
    "pieces": pieces,
    "stop": stop,
    "start": start,
}


def quantities(case: Case) -> list[str]:
    """What is judged for a case: all but what it has not."""
    absent = {"pieces", "stop", "start"} - set(case.check)
    if all(parameter.trainable for parameter in case.model.parameters.values()):
        absent.add("running")
    return [name for name in QUANTITIES if name not in absent]


def judge(case: Case, seen: Observation) -> list[Check]:
    """All checks of a case."""
    formulas = Formulas(case=case, job=seen.job, semantics=seen.semantics)
    checks: list[Check] = []
    for name in quantities(case):
        checks += QUANTITIES[name](formulas, seen)
    return checks


def _loss_check(quantity: str, what: str, given: float, expected: float) -> Check:
    worst = relative_number(given, expected)
    return Check(quantity=quantity, what=what, worst=worst, tolerance=LOSS_TOLERANCE)
