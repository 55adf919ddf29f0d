"""What rounding may do beyond the usual: wider gates for checks that fail, each for a reason that
can be named.

=====================  =========================================================================
sums of batch norm     the mean of ``n`` values that are added one after the other is off by up
                       to ``n eps`` of their size (Higham 2002, section 4.2); frameworks add up
                       whole batches of images so
condition              every layer's input is moved by one rounding, in the formulas: a recurrent
                       net with a large recurrent kernel makes more of it at every step of its
                       sequence
kinks                  where ReLU or max pooling is within rounding of its kink, a float32 pass
                       takes the other side: gradients before the kink jump, those behind it do
                       not (2e-2 in ResNets, inside one framework)
dead tensors           a gradient that is mathematically zero is nothing but rounding
the same in float64    what a runtime is off by in float64, in the very same place, its float32
                       is off by 2**29 times
=====================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.data.base import Split
from nncompare.numerics import losses, reference
from nncompare.numerics.keys import generator
from nncompare.spec.layers import BatchNorm, LeakyRelu, MaxPool2d, Relu
from nncompare.spec.model import Node
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import Check, relative
from nncompare.wire.observation import Observation

SUM_SHARE = 1 / 8
"""Of the bound ``n eps``; 1/12 was seen in float64, 1/18 in float32, of sums over 256 images of
28x28.
"""
KINKED_GRADIENT = 0.1
"""Of a float32 gradient before a kink, or of a dead tensor; relative as in ``single``. 3e-2 was
seen.
"""
CONDITION = 20.0
"""Times what a rounding of every layer's input does to the formulas."""
WIDER = 16 * 2.0**29
"""How far float32 may be off where float64 is off by one; 2**29 is the ratio of their epsilons."""

_OF_BATCHES = ("forward, training", "loss", "loss, every step", "running statistics")


def room_by_formula(context: Context, seen: Observation, checks: Sequence[Check]) -> list[Check]:
    """The checks of one runtime by the formulas, in which failed ones have room for sums and for
    their condition.
    """
    found, runs = [], _NoisyRuns(context, seen)
    for check in checks:
        if not check.passed:
            check = _wider(check, _sums(context, seen, check))
        if not check.passed and check.against == "formula":
            check = _wider(check, CONDITION * runs.change(check))
        found.append(check)
    return found


def _sums(context: Context, seen: Observation, check: Check) -> float:
    """How far the sums of batch norm may put a quantity off, relative; 0 where there are none."""
    if check.quantity not in _OF_BATCHES:
        return 0.0
    nodes = list(context.model.walk())
    norms = [index for index, node in enumerate(nodes) if isinstance(node.layer, BatchNorm)]
    names = [node.name for node in nodes]
    behind = check.quantity != "forward, training" or (
        check.layer in names and bool(norms) and names.index(check.layer) >= norms[0]
    )
    if not norms or not behind:
        return 0.0
    rows = min(context.job.experiment.train.batch_size, len(context.data.train))
    values = max(rows * nodes[index].input.size // nodes[index].input.shape[-1] for index in norms)
    room = SUM_SHARE * values * float(np.finfo(context.job.dtype).eps) / 2
    if check.quantity == "running statistics" and str(check.layer).endswith("running_mean"):
        room *= _spread(context, seen, check)
    return room


def _spread(context: Context, seen: Observation, check: Check) -> float:
    """Standard deviation over mean: what the rounding of a mean is relative to, over what its check
    is relative to.
    """
    assert check.step is not None
    assert check.layer is not None
    right = context.new_running(seen.update_weights[check.step - 1], check.step - 1)
    mean, variance = (
        right[check.layer],
        right[check.layer.replace("running_mean", "running_variance")],
    )
    largest = float(np.abs(mean).max(initial=0.0))
    return max(1.0, float(np.sqrt(variance.max(initial=0.0))) / largest) if largest else 1.0


class _NoisyRuns:
    """What the formulas give when every layer's input is rounded at random, once for each place in
    the check.

    Args:
        context, seen: of the runtime.
    """

    def __init__(self, context: Context, seen: Observation):
        self.context, self.seen = context, seen
        self._known: dict[tuple[str, int | None], dict[str, float]] = {}

    def change(self, check: Check) -> float:
        """How much that changes what a check looks at, relative; 0 where there is no such
        formula.
        """
        key = (check.quantity, check.step)
        if key not in self._known:
            self._known[key] = self._changes(check)
        known = self._known[key]
        return (
            known.get(check.layer or "", 0.0)
            if check.quantity.startswith("forward")
            else known.get("", 0.0)
        )

    def _changes(self, check: Check) -> dict[str, float]:
        """Node -> relative change; under ``""`` that of the loss, or of the logits."""
        place = self._place(check)
        if place is None:
            return {}
        params, split, rows, step = place
        x = split.x if rows is None else split.x[rows]
        right = self._run(params, x, step, reference.FORWARD)
        found = dict.fromkeys((*right, ""), 0.0)
        for draw in range(_DRAWS):
            noisy = self._run(
                params, x, step, _rounded(draw, float(np.finfo(self.context.job.dtype).eps) / 2)
            )
            for name, value in right.items():
                found[name] = max(found[name], relative(noisy[name], value))
            found[""] = max(
                found[""],
                self._of_all(check, right, noisy, None if rows is None else split.y[rows]),
            )
        return found

    def _of_all(self, check: Check, right: Params, noisy: Params, y: Array | None) -> float:
        last = self.context.model.nodes[-1].name
        if not check.quantity.startswith("loss") or y is None:
            return relative(noisy[last], right[last])
        task = self.context.job.experiment.task
        a, b = (losses.data_loss(task, outputs[last], y) for outputs in (noisy, right))
        return abs(a - b) / abs(b) if b else 0.0

    def _place(self, check: Check) -> tuple[Params, Split, Array | None, int | None] | None:
        """Weights, examples, which of them (None: all), and the step whose dropout masks hold
        (None: inference).
        """
        plan, data, seen = self.context.plan, self.context.data, self.seen
        step = None if check.step is None else check.step - 1
        match check.quantity, step:
            case "forward", _:
                return self.context.probe, data.train, plan.forward_rows, None
            case "forward, training", _:
                return self.context.probe, data.train, plan.forward_rows, 0
            case "forward after updates", _:
                return seen.update_weights[plan.update_steps], data.train, plan.forward_rows, None
            case "logits", int():
                return seen.checkpoints[step + 1], data.test, None, None
            case "loss", None:
                return self.context.probe, data.train, plan.gradient_rows, 0
            case "loss", int():
                return seen.update_weights[step], data.train, plan.updates.rows(step), step
            case "loss, every step", int():
                return seen.checkpoints[step], data.train, plan.trajectory.rows(step), step
        return None

    def _run(
        self, params: Params, x: Array, step: int | None, forward: Mapping[str, reference.Forward]
    ) -> Params:
        masks = None if step is None else self.context.masks(step)
        run = reference.Run(params=params, forward=forward, training=step is not None, masks=masks)
        run.chain(self.context.model.nodes, x)
        return run.outputs


_DRAWS = 3
_MOVES_ONLY = ("residual", "flatten", "reshape", "last_step")
"""Layers that compute nothing, or whose layers are moved themselves."""


def _rounded(draw: int, unit: float) -> dict[str, reference.Forward]:
    """The formulas of all layers, each on an input whose values are rounded at random, relative to
    their size.
    """

    def moved(formula: reference.Forward) -> reference.Forward:
        def of_moved(node: Node, own: Params, x: Array, run: reference.Run) -> Array:
            if x.dtype.kind not in "iu":
                x = x * (
                    1 + unit * generator(draw, f"rounding/{node.name}").standard_normal(x.shape)
                )
            return formula(node, own, x, run)

        return of_moved

    return {
        kind: formula if kind in _MOVES_ONLY else moved(formula)
        for kind, formula in reference.FORWARD.items()
    }


def room_for_kinks(
    context: Context, dead: frozenset[str], checks: Sequence[Check]
) -> Iterator[Check]:
    """The checks of float32 gradients, in which failed ones before a kink, or of dead tensors, have
    room for it.
    """
    loose = before_kinks(context) | dead
    for check in checks:
        gradient = check.quantity == "gradient" and check.layer in loose and not check.passed
        yield _wider(check, KINKED_GRADIENT) if gradient else check


def before_kinks(context: Context) -> frozenset[str]:
    """The parameters whose gradient comes through a kink."""
    nodes = list(context.model.walk())
    kinks = [
        index
        for index, node in enumerate(nodes)
        if isinstance(node.layer, Relu | LeakyRelu | MaxPool2d)
    ]
    last = max(kinks, default=0)
    return frozenset(
        f"{node.name}.{item.name}" for node in nodes[:last] for item in node.parameters
    )


def room_as_in_float64(narrow: Sequence[Check], wide: Sequence[Check]) -> list[Check]:
    """The float32 checks by formulas, in which failed ones have the room that float64 shows in the
    same place.

    Args:
        narrow, wide: all checks of float32 and of float64.
    """
    off: dict[tuple[str, str, str], float] = {}
    for check in wide:
        if check.against == "formula" and check.quantity != "update" and check.passed:
            key = (check.runtime, check.quantity, check.layer or "")
            off[key] = max(off.get(key, 0.0), check.worst)
    return [
        (
            check
            if check.passed or check.against != "formula"
            else _wider(
                check, WIDER * off.get((check.runtime, check.quantity, check.layer or ""), 0.0)
            )
        )
        for check in narrow
    ]


def _wider(check: Check, gate: float) -> Check:
    return replace(check, gate=max(check.gate, gate))


__all__ = ["before_kinks", "room_as_in_float64", "room_by_formula", "room_for_kinks"]
