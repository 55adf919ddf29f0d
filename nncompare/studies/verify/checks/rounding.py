"""What rounding may do beyond the usual: wider tolerances for checks that fail, each for a reason
that can be named.

=====================  =========================================================================
sums of batch norm     the mean of ``n`` values that are added one after the other is off by up
                       to ``n eps`` of their size (Higham 2002, section 4.2); frameworks add up
                       whole batches of images so
condition              every layer's input is moved by one rounding, in the formulas: a recurrent
                       net with a large recurrent kernel makes more of it at every step of its
                       sequence
the same in float64    what a runtime is off by in float64, in the very same place, its float32
                       is off by 2**29 times
=====================  =========================================================================

What a kink may do to a gradient stands in ``gradient``, what a chaotic training does to rounding in
``studies.verify.growth``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses, reference
from nncompare.numerics.keys import generator
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.check import FORMULA, Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.place import Place, place_of
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

SUM_SHARE = 1 / 8
"""Of the bound ``n eps``; 1/12 was seen in float64, 1/18 in float32, of sums over 256 images of
28x28.
"""
CONDITION = 20.0
"""Times what a rounding of every layer's input does to the formulas."""
WIDER = 16 * 2.0**29
"""How far float32 may be off where float64 is off by one; 2**29 is the ratio of their epsilons."""

_OF_BATCHES = frozenset(
    {
        Quantity.FORWARD_TRAINING,
        Quantity.LOSS,
        Quantity.LOSS_EVERY_STEP,
        Quantity.RUNNING_STATISTICS,
    }
)
"""Quantities in which batch norm uses the statistics of a batch."""


def room_by_formula(
    context: Context, observation: Observation, checks: Sequence[Check]
) -> list[Check]:
    """The checks of one runtime by the formulas, in which failed ones have room for sums and for
    their condition.
    """
    found = []
    runs = _NoisyRuns(context, observation)
    for check in checks:
        # sums first: they cost nothing to know, a noisy run of the formulas does
        if not check.passed:
            check = _wider(check, _room_for_sums(context, observation, check))
        if not check.passed and check.against == FORMULA:
            check = _wider(check, CONDITION * runs.change(check))
        found.append(check)
    return found


def room_as_in_float64(narrow: Sequence[Check], wide: Sequence[Check]) -> list[Check]:
    """The float32 checks by formulas, in which failed ones have the room that float64 shows in the
    same place.

    Args:
        narrow, wide: all checks of float32 and of float64.
    """
    off: dict[tuple[str, Quantity, str | None], float] = {}
    for check in wide:
        # an update is judged in the entries that are sure, which are others in float64; and what
        # fails in float64 is a mistake, not rounding
        if check.against == FORMULA and check.quantity != Quantity.UPDATE and check.passed:
            off[_where(check)] = max(off.get(_where(check), 0.0), check.worst)
    found = []
    for check in narrow:
        if not check.passed and check.against == FORMULA:
            check = _wider(check, WIDER * off.get(_where(check), 0.0))
        found.append(check)
    return found


def _where(check: Check) -> tuple[str, Quantity, str | None]:
    return check.runtime, check.quantity, check.layer


def _room_for_sums(context: Context, observation: Observation, check: Check) -> float:
    """How far the sums of batch norm may put a quantity off, relative; 0 where there are none."""
    nodes = list(context.model.walk())
    names = [node.name for node in nodes]
    norms = [index for index, node in enumerate(nodes) if node.layer.running_momentum is not None]
    if check.quantity not in _OF_BATCHES or not norms:
        return 0.0
    behind = check.layer in names and names.index(check.layer) >= norms[0]
    # a layer before the first batch norm sees no sum of its own
    if check.quantity == Quantity.FORWARD_TRAINING and not behind:
        return 0.0
    rows = min(context.job.experiment.train.batch_size, len(context.data.train))
    # values a channel, of the batch norm that adds up most
    values = max(rows * nodes[index].input.size // nodes[index].input.shape[-1] for index in norms)
    room = SUM_SHARE * values * float(np.finfo(context.job.dtype).eps) / 2
    of_mean = str(check.layer).endswith("running_mean")
    if check.quantity == Quantity.RUNNING_STATISTICS and of_mean:
        room *= _spread(context, observation, check)
    return room


def _spread(context: Context, observation: Observation, check: Check) -> float:
    """Standard deviation over mean: what the rounding of a mean is relative to, over what its check
    is relative to.
    """
    assert check.step is not None
    assert check.layer is not None
    weights = observation.update_weights[check.step - 1]
    right = context.new_running(weights, check.step - 1)
    mean = right[check.layer]
    variance = right[check.layer.replace("running_mean", "running_variance")]
    largest = float(np.abs(mean).max(initial=0.0))
    if largest == 0:
        # the check of a mean of zeros is absolute
        return 1.0
    return max(1.0, float(np.sqrt(variance.max(initial=0.0))) / largest)


class _NoisyRuns:
    """What the formulas give when every layer's input is rounded at random, once for each place in
    the check.

    Args:
        context, observation: of the runtime.
    """

    def __init__(self, context: Context, observation: Observation):
        self.context = context
        self.observation = observation
        self._known: dict[tuple[Quantity, int | None], dict[str, float]] = {}

    def change(self, check: Check) -> float:
        """How much that changes what a check looks at, relative; 0 where there is no such
        formula.
        """
        key = (check.quantity, check.step)
        if key not in self._known:
            self._known[key] = self._changes(check)
        known = self._known[key]
        # a forward pass is judged layer by layer, a loss and the logits as a whole
        name = check.layer or "" if check.quantity.startswith("forward") else ""
        return known.get(name, 0.0)

    def _changes(self, check: Check) -> dict[str, float]:
        """Node -> relative change; under ``""`` that of the loss, or of the logits."""
        place = place_of(self.context, self.observation, check)
        if place is None:
            return {}
        right = self._run(place, reference.FORWARD)
        unit = float(np.finfo(self.context.job.dtype).eps) / 2
        found = dict.fromkeys((*right, ""), 0.0)
        for draw in range(_DRAWS):
            noisy = self._run(place, _rounded(draw, unit))
            for name, value in right.items():
                found[name] = max(found[name], relative(noisy[name], value))
            found[""] = max(found[""], self._of_all(check, place, right, noisy))
        return found

    def _of_all(self, check: Check, place: Place, right: Params, noisy: Params) -> float:
        """The relative change of the loss or, for the other quantities, of the logits."""
        last = self.context.model.nodes[-1].name
        if check.quantity not in (Quantity.LOSS, Quantity.LOSS_EVERY_STEP):
            return relative(noisy[last], right[last])
        task = self.context.job.experiment.task
        a, b = (losses.data_loss(task, outputs[last], place.y) for outputs in (noisy, right))
        return abs(a - b) / abs(b) if b else 0.0

    def _run(self, place: Place, forward: Mapping[str, reference.Forward]) -> Params:
        training = place.step is not None
        masks = None if place.step is None else self.context.masks(place.step)
        run = reference.Run(
            params=place.params,
            forward=forward,
            training=training,
            masks=masks,
            semantics=self.context.semantics,
        )
        run.chain(self.context.model.nodes, place.x)
        return run.outputs


_DRAWS = 3


def _rounded(draw: int, unit: float) -> dict[str, reference.Forward]:
    """The formulas of all layers, each on an input whose values are rounded at random, relative to
    their size.
    """

    def moved(formula: reference.Forward) -> reference.Forward:
        def of_moved(node: Node, own: Params, x: Array, run: reference.Run) -> Array:
            # tokens are exact, and a layer that computes nothing rounds nothing
            if x.dtype.kind not in "iu" and node.layer.computes:
                noise = generator(draw, f"rounding/{node.name}").standard_normal(x.shape)
                x = x * (1 + unit * noise)
            return formula(node, own, x, run)

        return of_moved

    return {kind: moved(formula) for kind, formula in reference.FORWARD.items()}


def _wider(check: Check, tolerance: float) -> Check:
    return replace(check, tolerance=max(check.tolerance, tolerance))
