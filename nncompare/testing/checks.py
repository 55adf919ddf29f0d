"""Judges what a backend did, against the formulas of ``nncompare.numerics`` and never against
another backend.

The tolerances are those of ``docs/alignment.md``: what agreeing implementations reach in float64,
with room for another order of summation, and far below what any wrong constant causes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import differences, reference, updates
from nncompare.numerics.keys import generator
from nncompare.numerics.masks import masks_of_step
from nncompare.testing.case import SEED, Case
from nncompare.testing.observe import Observation

FORWARD_TOLERANCE = 1e-12
LOSS_TOLERANCE = 1e-12
GRADIENT_TOLERANCE = 1e-9
UPDATE_TOLERANCE = 1e-11
DIRECTIONS = 3


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Args:
        quantity: one of ``QUANTITIES``.
        what: node, parameter or step.
        worst: the largest difference; infinite for another shape, type or set of names, or a number
            not finite.
        tolerance: the largest that passes.
    """

    quantity: str
    what: str
    worst: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.worst <= self.tolerance  # False for NaN


Judge = Callable[[Case, Observation], Iterator[Check]]
Distance = Callable[[Array | None, Array], float]


def round_trip(case: Case, seen: Observation) -> Iterator[Check]:
    """``params`` after ``load`` gives back the very same numbers."""
    yield from _each("round_trip", seen.loaded, case.params, _absolute, 0.0)


def untouched(case: Case, seen: Observation) -> Iterator[Check]:
    """Looking changes nothing: no weight, no running statistic."""
    yield from _each("untouched", seen.untouched, case.params, _absolute, 0.0)


def predict(case: Case, seen: Observation) -> Iterator[Check]:
    """``predict`` before and after training, the latter at the weights that the session says it
    has.
    """
    for what, params, given in (
        ("fresh", case.params, seen.predicted),
        ("trained", seen.weights[-1], seen.trained),
    ):
        expected = reference.forward(case.model, params, case.data.test.x)
        yield Check(
            quantity="predict",
            what=what,
            worst=_relative(given, expected),
            tolerance=FORWARD_TOLERANCE,
        )


def outputs(case: Case, seen: Observation) -> Iterator[Check]:
    """Every node in inference mode."""
    expected = reference.outputs(case.model, case.params, _x(case, 0))
    yield from _each("outputs", seen.outputs, expected, _relative, FORWARD_TOLERANCE)


def training_outputs(case: Case, seen: Observation) -> Iterator[Check]:
    """Every node in training mode with the masks of step 0."""
    expected = reference.outputs(
        case.model, case.params, _x(case, 0), training=True, masks=_masks(case, 0)
    )
    yield from _each(
        "training_outputs", seen.training_outputs, expected, _relative, FORWARD_TOLERANCE
    )


def loss(case: Case, seen: Observation) -> Iterator[Check]:
    """Data loss plus penalties, in training mode with the masks of step 0, at the weights of every
    step.
    """
    found = [seen.loss, *seen.step_losses]
    places = [
        (case.params, 0),
        *((weights, step) for step, weights in enumerate(seen.weights[:-1])),
    ]
    for given, (params, step) in zip(found, places, strict=True):
        worst = _relative_number(given, _loss(case, params, step, masks_of=0))
        yield Check(quantity="loss", what=f"step {step}", worst=worst, tolerance=LOSS_TOLERANCE)


def gradients(case: Case, seen: Observation) -> Iterator[Check]:
    """Along random directions through all parameters, and through each parameter alone, the
    gradient gives the slope that central differences of the reference loss give.
    """
    names = {
        name: parameter for name, parameter in case.model.parameters.items() if parameter.trainable
    }
    yield from _shapes("gradients", seen.gradients, {name: case.params[name] for name in names})
    # a direction through a number that is not finite would tell nothing
    if any(
        name not in seen.gradients or not np.isfinite(seen.gradients[name]).all() for name in names
    ):
        yield Check(quantity="gradients", what="finite", worst=np.inf, tolerance=0.0)
        return
    stream = generator(SEED, f"conformance/{case.name}/directions")
    groups = [("all", list(names))] * DIRECTIONS + [(name, [name]) for name in names]
    for what, group in groups:
        direction = {name: stream.normal(size=names[name].shape) for name in group}
        yield _slope(case, seen.gradients, direction, what)


def _slope(case: Case, found: Params, direction: Params, what: str) -> Check:
    # large inputs bend the loss within a shorter way
    h = 1e-5 if case.offset < 100 else 1e-7
    expected = differences.directional_derivative(
        lambda p: _loss(case, p, 0, masks_of=0), case.params, direction, h
    )
    given = sum(float((found[name] * d).sum()) for name, d in direction.items())
    size = np.sqrt(sum(float((found[name] ** 2).sum()) for name in direction))
    # a difference of two losses is off by their rounding over the length of the way
    rounding = 8 * np.finfo(np.float64).eps * abs(_loss(case, case.params, 0, masks_of=0)) / h
    tolerance = GRADIENT_TOLERANCE * size + rounding + 1e-10
    return Check(
        quantity="gradients", what=what, worst=abs(given - expected), tolerance=float(tolerance)
    )


def update(case: Case, seen: Observation) -> Iterator[Check]:
    """Every step of training is the optimizer's formula applied to the backend's own gradient at
    that step's weights, which ``gradients`` has judged. With dropout the gradient of later steps
    has other masks: there it comes from differences of the reference loss.
    """
    train, state, tolerance = case.experiment.train, updates.State(), UPDATE_TOLERANCE
    names = [name for name, parameter in case.model.parameters.items() if parameter.trainable]
    yield from _each("update", seen.weights[0], case.params, _absolute, 0.0)
    for step, rate in enumerate(case.plan.learning_rate):
        before, slope = seen.weights[step], seen.step_gradients[step]
        if case.has_dropout and step > 0:
            # loss_and_gradients has the masks of step 0
            loss_at_step = partial(_loss, case, step=step, masks_of=step)
            slope = differences.gradient(loss_at_step, before, names)
            tolerance = 1e-9
        if set(slope) != set(names):
            yield Check(quantity="update", what=f"step {step}: names", worst=np.inf, tolerance=0.0)
            return
        expected, state = updates.step(train.optimizer, state, before, slope, rate, train.clip_norm)
        for name in names:
            worst = _absolute(seen.weights[step + 1].get(name), expected[name])
            yield Check(
                quantity="update", what=f"step {step}: {name}", worst=worst, tolerance=tolerance
            )


def training_loss(case: Case, seen: Observation) -> Iterator[Check]:
    """The loss of every step with its own rows and masks, at the weights before it."""
    for step, given in enumerate(seen.losses):
        expected = _loss(case, seen.weights[step], step, masks_of=step)
        worst = _relative_number(given, expected)
        yield Check(
            quantity="training_loss", what=f"step {step}", worst=worst, tolerance=LOSS_TOLERANCE
        )


def running(case: Case, seen: Observation) -> Iterator[Check]:
    """Running statistics after every step."""
    for step, before in enumerate(seen.weights[:-1]):
        expected = reference.new_running(case.model, before, _x(case, step), _masks(case, step))
        for name, values in expected.items():
            worst = _relative(seen.weights[step + 1].get(name), values)
            yield Check(
                quantity="running",
                what=f"step {step}: {name}",
                worst=worst,
                tolerance=FORWARD_TOLERANCE,
            )


def pieces(case: Case, seen: Observation) -> Iterator[Check]:
    """Whole epochs give what single steps gave: pieces, the loss of a piece, and a fresh start by
    ``load``.
    """
    assert seen.whole_weights is not None
    assert seen.whole_losses is not None
    yield from _each("pieces", seen.whole_weights, seen.weights[-1], _absolute, UPDATE_TOLERANCE)
    plan = case.plan
    for epoch, given in enumerate(seen.whole_losses):
        begin, end = epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch
        expected = plan.mean_loss(begin, end, np.asarray(seen.losses[begin:end]))
        worst = _relative_number(given, expected)
        yield Check(quantity="pieces", what=f"loss of epoch {epoch}", worst=worst, tolerance=1e-10)


def stop(case: Case, seen: Observation) -> Iterator[Check]:
    """Ended after one epoch, the weights are those after one epoch."""
    assert seen.stopped_weights is not None
    expected = seen.weights[case.plan.steps_per_epoch]
    yield from _each("stop", seen.stopped_weights, expected, _absolute, UPDATE_TOLERANCE)


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
}


def quantities(case: Case) -> list[str]:
    """What is judged for a case: all but what it has not."""
    absent = {"pieces", "stop"} - set(case.check)
    if all(parameter.trainable for parameter in case.model.parameters.values()):
        absent.add("running")
    return [name for name in QUANTITIES if name not in absent]


def judge(case: Case, seen: Observation) -> list[Check]:
    """All checks of a case."""
    return [check for name in quantities(case) for check in QUANTITIES[name](case, seen)]


def _x(case: Case, step: int) -> Array:
    return case.data.train.x[case.plan.rows(step)]


def _loss(case: Case, params: Params, step: int, masks_of: int) -> float:
    train, rows = case.experiment.train, case.plan.rows(step)
    x, y = case.data.train.x[rows], case.data.train.y[rows]
    masks = _masks(case, masks_of)
    return reference.loss(
        case.model, case.experiment.task, params, x, y, penalty=train.penalty, masks=masks
    )


def _masks(case: Case, step: int) -> reference.Masks:
    return masks_of_step(case.model, SEED, step)


def _each(
    quantity: str,
    given: dict[str, Array],
    expected: dict[str, Array],
    distance: Distance,
    tolerance: float,
) -> Iterator[Check]:
    yield from _names(quantity, given, expected)
    for name, values in expected.items():
        yield Check(
            quantity=quantity,
            what=name,
            worst=distance(given.get(name), values),
            tolerance=tolerance,
        )


def _shapes(quantity: str, given: dict[str, Array], expected: dict[str, Array]) -> Iterator[Check]:
    yield from _names(quantity, given, expected)
    for name, values in expected.items():
        fits = name in given and _fits(given[name], values)
        yield Check(
            quantity=quantity,
            what=f"{name}: shape and type",
            worst=0.0 if fits else np.inf,
            tolerance=0.0,
        )


def _names(quantity: str, given: dict[str, Array], expected: dict[str, Array]) -> Iterator[Check]:
    odd = sorted(set(given) ^ set(expected))
    what = f"names ({', '.join(odd)} too many or missing)" if odd else "names"
    yield Check(quantity=quantity, what=what, worst=np.inf if odd else 0.0, tolerance=0.0)


def _fits(given: Array | None, expected: Array) -> bool:
    return given is not None and given.shape == expected.shape and given.dtype == np.float64


def _absolute(given: Array | None, expected: Array) -> float:
    if given is None or not _fits(given, expected):
        return np.inf
    return float(np.abs(given - expected).max(initial=0.0))


def _relative(given: Array | None, expected: Array) -> float:
    """``max|a - b| / max|b|``."""
    size = float(np.abs(expected).max(initial=0.0))
    return _absolute(given, expected) / (size or 1.0)


def _relative_number(given: float, expected: float) -> float:
    return _relative(np.asarray(given, np.float64), np.asarray(expected, np.float64))
