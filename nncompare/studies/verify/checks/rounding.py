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

from collections.abc import Sequence
from functools import partial

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import losses, reference
from nncompare.numerics.keys import generator
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.check import FORMULA, Check
from nncompare.studies.verify.checks.distance import relative, size
from nncompare.studies.verify.checks.place import place_of
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

SUM_SHARE = 1 / 8
"""Of the bound ``n eps``; 1/12 was seen in float64, 1/18 in float32, of sums over 256 images of
28x28.
"""
CONDITION = 20.0
"""Times what a rounding that is drawn at random does to the formulas."""
DRAWS = 3
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
    known: dict[tuple[Quantity, int | None], dict[str | None, float]] = {}
    for check in checks:
        # sums first: they cost nothing to know, a noisy run of the formulas does
        if not check.passed:
            check = check.with_room(_room_for_sums(context, observation, check))
        # only a formula has a condition; a runtime against itself sums up in the same order
        if not check.passed and check.against == FORMULA:
            place = check.quantity, check.step
            if place not in known:
                known[place] = _condition(context, observation, check)
            check = check.with_room(CONDITION * known[place].get(check.layer, 0.0))
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
        if check.against == FORMULA:
            check = check.with_room(WIDER * off.get(_where(check), 0.0))
        found.append(check)
    return found


def _where(check: Check) -> tuple[str, Quantity, str | None]:
    return check.runtime, check.quantity, check.layer


def _room_for_sums(context: Context, observation: Observation, check: Check) -> float:
    """How far the sums of batch norm may put a quantity off, relative; 0 where there are none."""
    nodes = list(context.model.walk())
    norms = [node for node in nodes if node.layer.running_momentum is not None]
    if check.quantity not in _OF_BATCHES or not norms:
        return 0.0
    if check.quantity == Quantity.FORWARD_TRAINING:
        # a layer before the first batch norm sees no sum of its own
        behind = [node.name for node in nodes[nodes.index(norms[0]) :]]
        if check.layer not in behind:
            return 0.0
    # an experiment may have fewer examples than its batch
    rows = min(context.job.experiment.train.batch_size, len(context.data.train))
    # values a channel, of the batch norm that adds up most
    values = max(rows * node.input.size // node.input.shape[-1] for node in norms)
    room = SUM_SHARE * values * unit_roundoff(context)
    # the check of a mean is relative to the mean, its rounding to the spread of its values
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
    variance = right[check.layer.replace("running_mean", "running_variance")]
    largest = size(right[check.layer])
    # the check of a mean of zeros is absolute
    return max(1.0, float(np.sqrt(size(variance))) / largest) if largest else 1.0


def _condition(context: Context, observation: Observation, check: Check) -> dict[str | None, float]:
    """How much it changes the formulas, in the place of a check, when every layer's input is
    rounded at random: node -> relative change of its output; None -> that of the loss. Empty where
    no forward pass decides the check.
    """
    place = place_of(context, observation, check)
    if place is None:
        return {}
    task = context.job.experiment.task
    right = context.run(place.params, place.x, place.step).outputs
    found: dict[str | None, float] = dict.fromkeys(right, 0.0)
    for draw in range(DRAWS):
        table = {
            kind: partial(_of_rounded, formula, draw, unit_roundoff(context))
            for kind, formula in reference.FORWARD.items()
        }
        noisy = context.run(place.params, place.x, place.step, table).outputs
        for name, value in right.items():
            found[name] = max(found[name], relative(noisy[name], value))
        # a forward pass and the logits are judged by their layer, a loss as a whole
        if check.layer is None:
            last = context.last_node
            a, b = (losses.data_loss(task, made[last], place.y) for made in (noisy, right))
            change = abs(a - b) / abs(b) if b else 0.0
            found[None] = max(found.get(None, 0.0), change)
    return found


def _of_rounded(
    formula: reference.Forward,
    draw: int,
    unit: float,
    node: Node,
    own: Params,
    x: Array,
    run: reference.Run,
) -> Array:
    """A layer's formula on an input whose values are rounded at random, relative to their size."""
    # tokens are exact, and a layer that computes nothing rounds nothing
    if x.dtype.kind not in "iu" and node.layer.computes:
        noise = generator(draw, f"rounding/{node.name}").standard_normal(x.shape)
        x = x * (1 + unit * noise)
    return formula(node, own, x, run)


def unit_roundoff(context: Context) -> float:
    """The unit roundoff of the runtime's dtype."""
    return float(np.finfo(context.job.dtype).eps) / 2
