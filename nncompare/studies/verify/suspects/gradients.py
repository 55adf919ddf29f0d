"""Where a gradient goes wrong although the loss is right, and what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import differences, losses
from nncompare.numerics.reference import FORWARD, Forward, Run
from nncompare.spec.model import Node
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import relative, scale
from nncompare.studies.verify.suspects.scene import inputs_of

_WRONG = {"float64": 1e-9, "float32": 1e-3}
"""Relative difference from which a tensor's gradient is wrong; rounding stays below."""


@dataclass(frozen=True)
class Place:
    """A way that gradients take back.

    Args:
        node: through whose output, or on whose way round (``shortcut``), they come.
        behind: the layers with parameters that get their gradient on this way.
        shortcut: the way round of a residual, in place of its sum.
    """

    node: Node
    behind: frozenset[str]
    shortcut: bool = False

    @property
    def words(self) -> str:
        return f"the shortcut of {self.node.name}" if self.shortcut else self.node.name


def gradient_place(context: Context, given: Params, right: Params) -> tuple[str | None, str | None]:
    """The layer or parameter at fault, and words.

    Args:
        given: the gradient of the runtime at fault; ``right``: one that stands the test of differences.
    """
    largest = max((scale(right[name]) for name in context.trained if right[name].any()), default=1.0)
    floor = {name: max(scale(right[name]) if right[name].any() else 0.0, 1e-6 * largest) for name in context.trained}
    apart = {name: float(np.abs(given[name] - right[name]).max()) / floor[name] for name in context.trained}
    wrong = [name for name in context.trained if apart[name] > _WRONG[context.dtype]]
    if not wrong:
        return None, None
    words = gradient_looks_like(context, given, right)
    if words is not None and words.startswith("the whole"):
        return None, words
    nodes = frozenset(name.rpartition(".")[0] for name in wrong)
    if len(nodes) == 1:
        (node,) = nodes
        own = [name for name in context.trained if name.rpartition(".")[0] == node and right[name].any()]
        if len(wrong) < len(own):
            return (wrong[0] if len(wrong) == 1 else node), words
    if words is not None:
        return wrong[0], words
    ways = [way for way in _ways(context.model.nodes) if way.behind == nodes]
    if not ways:
        return max(wrong, key=lambda name: apart[name]), None
    scaled = _scaled(context, given, right, ways)
    if scaled is not None:
        way, factor = scaled
        what = "no gradient comes back" if abs(factor) < 1e-6 else f"the gradient is {factor:.8g} times the right one"
        return way.node.name, f"{what} through {way.words}"
    # a way through a layer without parameters is the likelier: the others' own gradients are right
    ways.sort(key=lambda way: bool(way.node.parameters))
    return ways[0].node.name, f"the gradient goes wrong on its way back through {' or '.join(w.words for w in ways)}"


def _ways(nodes: Sequence[Node], before: frozenset[str] = frozenset()) -> Iterator[Place]:
    """Every way, in order of computation."""
    for node in nodes:
        if node.children:
            yield from _ways(node.children, before)
            yield from _ways(node.shortcut, before)
            inner, outer = (_owners(part) | before for part in (node.children, node.shortcut))
            yield Place(node, outer, shortcut=True)
            yield Place(node, inner | outer)
            before = inner | outer
        else:
            yield Place(node, before)
            if any(item.trainable for item in node.parameters):
                before = before | {node.name}


def _owners(nodes: Sequence[Node]) -> frozenset[str]:
    return frozenset(n.name for node in nodes for n in node.walk() if any(item.trainable for item in n.parameters))


def _scaled(context: Context, given: Params, right: Params, ways: Sequence[Place]) -> tuple[Place, float] | None:
    """The way on which the gradient is multiplied by one wrong factor.

    Holding a value fixed takes away what comes back through it, so that differences of the reference loss tell the
    part of every directional derivative that came on that way.
    """
    for way in ways:
        names = [name for name in context.directions if name.rpartition(".")[0] in way.behind]
        missing, expected = [], []
        for name in names:
            direction = context.directions[name]
            whole = float((right[name] * direction[name]).sum())
            held = _held_slope(context, way, direction)
            missing.append(whole - float((given[name] * direction[name]).sum()))
            expected.append(whole - held)
        a, b = np.array(expected), np.array(missing)
        if not a.any():
            continue
        share = float((a * b).sum() / (a * a).sum())
        if np.abs(b - share * a).max() <= 1e-5 * np.abs(b).max():
            return way, 1.0 - share
    return None


def _held_slope(context: Context, way: Place, direction: Params) -> float:
    rows, task = context.plan.gradient_rows, context.job.experiment.task
    penalty = context.job.experiment.train.penalty
    x, y = context.data.train.x[rows], context.data.train.y[rows]

    def run(params: Params, forward: Mapping[str, Forward]) -> Run:
        made = Run(params=params, forward=forward, training=True, masks=context.masks(0))
        made.chain(context.model.nodes, x)
        return made

    kept = run(context.probe, FORWARD).outputs
    table = _holding(context, way, kept, x)
    last = context.model.nodes[-1].name

    def f(params: Params) -> float:
        value = losses.data_loss(task, run(params, table).outputs[last], y)
        return value + losses.penalty(params, context.model, penalty.l1, penalty.l2)

    return differences.refined_derivative(f, context.probe, direction)[0]


def _holding(context: Context, way: Place, kept: Mapping[str, Array], x: Array) -> dict[str, Forward]:
    """The formulas, with one value as it was."""
    kind = way.node.layer.type

    def held(node: Node, p: Params, value: Array, run: Run) -> Array:
        if node.name != way.node.name:
            return FORWARD[kind](node, p, value, run)
        if not way.shortcut:
            if way.node.parameters:  # its input, since its own parameters get their gradient
                return FORWARD[kind](node, p, _input_of(context, node, kept, x), run)
            return kept[node.name]
        outer = kept[node.shortcut[-1].name] if node.shortcut else _input_of(context, node, kept, x)
        return outer + run.chain(node.children, value)

    return {**FORWARD, kind: held}


def _input_of(context: Context, node: Node, kept: Mapping[str, Array], x: Array) -> Array:
    before = inputs_of(context.model.nodes)[node.name]
    return x if before is None else kept[before]


def gradient_looks_like(context: Context, given: Params, right: Params) -> str | None:
    """What explains a gradient that is off while the loss is right, next to a gradient that is right."""
    names = [name for name in context.trained if name in given and right[name].any()]
    ratios = [float((given[n] * right[n]).sum() / (right[n] ** 2).sum()) for n in names]
    exact = all(relative(given[n], r * right[n]) <= 1e-6 for n, r in zip(names, ratios, strict=True))
    if ratios and exact and np.ptp(ratios) <= 1e-6 * abs(ratios[0]) and abs(ratios[0] - 1) > 1e-9:
        return f"the whole gradient is {ratios[0]:.10g} times the right one"
    l2 = context.job.experiment.train.penalty.l2
    for label, factor in (("missing", -2.0), ("halved", -1.0), ("counted twice", 2.0)):
        differences = [relative(given[n] - right[n], factor * l2 * context.probe[n]) for n in names if l2]
        if differences and min(differences) < 1e-6:
            return f"the gradient of the L2 penalty is {label}"
    odd = [n for n in names if relative(given[n], right[n]) > _WRONG[context.dtype]]
    for name in odd:
        if given[name].ndim == 2 and relative(given[name], right[name].T) < 1e-9:
            return f"the gradient of {name} is transposed"
        if not given[name].any() and len(odd) == 1:
            return f"the gradient of {name} is zero: it is not trained"
    if len(odd) == 1:
        ratio = ratios[names.index(odd[0])]
        if relative(given[odd[0]], ratio * right[odd[0]]) <= 1e-6:
            return f"the gradient of {odd[0]} is {ratio:.10g} times the right one"
    return None
