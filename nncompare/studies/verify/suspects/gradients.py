"""Where a gradient goes wrong although the loss is right, and what it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import differences
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import FORWARD, Run
from nncompare.numerics.reference.kinks import Table
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.distance import relative, scale
from nncompare.studies.verify.context import Context

_WRONG = {"float64": 1e-9, "float32": 1e-3}
"""Relative difference from which a tensor's gradient is wrong; rounding stays below."""


_INSIDE = ("rnn", "lstm", "gru", "attention", "embedding")
"""Layers whose own gradient takes many ways, so that they are suspected before what follows them.
"""


@dataclass(frozen=True)
class Place:
    """A way that gradients take back.

    Args:
        node: through whose output they come; with parameters: through it to its input.
        behind: the layers with parameters that get their gradient on this way.
        shortcut: the way round of a residual, in place of its sum.
        inside: within the layer, so that its own parameters are among those behind.
    """

    node: Node
    behind: frozenset[str]
    shortcut: bool = False
    inside: bool = False

    @property
    def words(self) -> str:
        return f"the shortcut of {self.node.name}" if self.shortcut else self.node.name

    @property
    def rank(self) -> int:
        """The likelier, the lower: a layer with parameters whose own gradients are right comes
        last.
        """
        return 0 if self.inside else 1 if not self.node.parameters else 2


def gradient_place(context: Context, given: Params, right: Params) -> tuple[str | None, str | None]:
    """The layer or parameter at fault, and words.

    Args:
        given: the gradient of the runtime at fault; ``right``: one that stands the test of
            differences.
    """
    largest = max(
        (scale(right[name]) for name in context.trained if right[name].any()), default=1.0
    )
    sizes = {name: scale(right[name]) if right[name].any() else 0.0 for name in context.trained}
    apart = {
        n: float(np.abs(given[n] - right[n]).max()) / max(sizes[n], 1e-6 * largest)
        for n in context.trained
    }
    wrong = [name for name in context.trained if apart[name] > _WRONG[context.dtype]]
    if not wrong:
        return None, None
    words = gradient_looks_like(context, given, right)
    if words is not None and words.startswith("the whole"):
        return None, words
    live = [name for name in context.trained if sizes[name] > 1e-10 * largest or name in wrong]
    place = _part_of_a_layer(wrong, live)
    nodes = frozenset(name.rpartition(".")[0] for name in wrong)
    if words is not None:
        return (place if len(nodes) == 1 and place else wrong[0]), words
    nothing = None
    if not any(given[name].any() for name in wrong):
        nothing = f"the gradient of {', '.join(wrong)} is zero: it is not trained"
    if place is not None:
        return place, nothing or _inside(wrong, given)
    ways = sorted(
        (way for way in _ways(context.model.nodes) if way.behind == nodes), key=lambda way: way.rank
    )
    if nothing and (len(nodes) == 1 and all(way.node.parameters for way in ways)):
        return wrong[0], nothing
    if not ways:
        return max(wrong, key=lambda name: apart[name]), nothing
    scaled = _scaled(context, given, right, [way for way in ways if not way.inside])
    if scaled is not None:
        way, factor = scaled
        what = (
            "no gradient comes back"
            if abs(factor) < 1e-6
            else f"the gradient is {factor:.8g} times the right one"
        )
        return way.node.name, f"{what} through {way.words}"
    told = " or ".join(dict.fromkeys(way.words for way in ways))
    return ways[0].node.name, f"the gradient goes wrong on its way back through {told}"


def _part_of_a_layer(wrong: Sequence[str], live: Sequence[str]) -> str | None:
    """The last layer that is wrong, if only some of its parameters are: what comes back to it must
    be right.
    """
    last = wrong[-1].rpartition(".")[0]
    mine = [name for name in wrong if name.rpartition(".")[0] == last]
    if len(mine) == sum(name.rpartition(".")[0] == last for name in live):
        return None
    return mine[0] if len(mine) == len(wrong) == 1 else last


def _inside(wrong: Sequence[str], given: Params) -> str:
    """Which parameters of the last wrong layer go wrong, and which of them get no gradient
    at all.
    """
    last = wrong[-1].rpartition(".")[0]
    mine = [name for name in wrong if name.rpartition(".")[0] == last]
    zero = [name for name in mine if not given[name].any()]
    before = ", and so does what comes back from it" if len(mine) < len(wrong) else ""
    if zero:
        return f"no gradient comes back to {', '.join(zero)}"
    return f"the gradient of {', '.join(mine)} goes wrong within {last}{before}"


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
                if node.layer.type in _INSIDE:
                    yield Place(node, before, inside=True)


def _owners(nodes: Sequence[Node]) -> frozenset[str]:
    return frozenset(
        n.name
        for node in nodes
        for n in node.walk()
        if any(item.trainable for item in n.parameters)
    )


def _scaled(
    context: Context, given: Params, right: Params, ways: Sequence[Place]
) -> tuple[Place, float] | None:
    """The way on which the gradient is multiplied by one wrong factor.

    Holding a value fixed takes away what comes back through it, so that differences of the
    reference loss tell the part of every directional derivative that came on that way.
    """
    for way in ways:
        missing, expected = [], []
        for label, direction in context.directions.items():
            part = {
                name: d for name, d in direction.items() if name.rpartition(".")[0] in way.behind
            }
            if not part or (len(part) == 1 and label not in part):
                continue
            whole = float(sum((right[name] * d).sum() for name, d in part.items()))
            missing.append(whole - float(sum((given[name] * d).sum() for name, d in part.items())))
            expected.append(whole - _held_slope(context, way, part))
        a, b = np.array(expected), np.array(missing)
        if len(a) < 2 or not a.any():
            continue
        share = float((a * b).sum() / (a * a).sum())
        if np.abs(b - share * a).max() <= 1e-5 * np.abs(b).max():
            return way, 1.0 - share
    return None


def _held_slope(context: Context, way: Place, direction: Params) -> float:
    rows = context.plan.gradient_rows
    x = context.data.train.x[rows]
    made = Run(params=context.probe, forward=FORWARD, training=True, masks=context.masks(0))
    made.chain(context.model.nodes, x)
    f = context.smooth_loss(lambda table: _holding(context, way, made.outputs, x, table))
    return differences.refined_derivative(f, context.probe, direction)[0]


def _holding(
    context: Context, way: Place, kept: Mapping[str, Array], x: Array, table: Table
) -> Table:
    """The formulas of a table, with one value as it was."""
    kind = way.node.layer.type

    def held(node: Node, p: Params, value: Array, run: Run) -> Array:
        if node.name != way.node.name:
            return table[kind](node, p, value, run)
        if not way.shortcut:
            if way.node.parameters:  # its input, since its own parameters get their gradient
                return table[kind](node, p, _input_of(context, node, kept, x), run)
            return kept[node.name]
        outer = kept[node.shortcut[-1].name] if node.shortcut else _input_of(context, node, kept, x)
        return outer + run.chain(node.children, value)

    return {**table, kind: held}


def _input_of(context: Context, node: Node, kept: Mapping[str, Array], x: Array) -> Array:
    before = inputs_of(context.model.nodes)[node.name]
    return x if before is None else kept[before]


def gradient_looks_like(context: Context, given: Params, right: Params) -> str | None:
    """What explains a gradient that is off while the loss is right, next to a gradient that is
    right.
    """
    close = 1e-6 if context.dtype == "float64" else 1e-3
    names = [name for name in context.trained if name in given and right[name].any()]
    ratios = {n: float((given[n] * right[n]).sum() / (right[n] ** 2).sum()) for n in names}
    first = next(iter(ratios.values()), 1.0)
    exact = all(relative(given[n], r * right[n]) <= close for n, r in ratios.items())
    if (
        exact
        and np.ptp(list(ratios.values())) <= close * abs(first)
        and abs(first - 1) > _WRONG[context.dtype]
    ):
        return f"the whole gradient is {first:.10g} times the right one"
    odd = [n for n in names if relative(given[n], right[n]) > _WRONG[context.dtype]]
    for kind, values in _penalty_gradients(context):
        for label, factor in (("missing", -1.0), ("halved", -0.5), ("counted twice", 1.0)):
            apart = [
                relative(given[n] - right[n], factor * values[n]) for n in odd if values[n].any()
            ]
            if apart and min(apart) < max(close, 1e-6):
                return f"the gradient of the {kind} penalty is {label}"
    for name in odd:
        if given[name].ndim == 2 and relative(given[name], right[name].T) < close:
            return f"the gradient of {name} is transposed"
    if (
        len(odd) == 1
        and given[odd[0]].any()
        and relative(given[odd[0]], ratios[odd[0]] * right[odd[0]]) <= close
    ):
        return f"the gradient of {odd[0]} is {ratios[odd[0]]:.10g} times the right one"
    if len(odd) == 1:
        apart = np.abs(given[odd[0]] - right[odd[0]]) > _WRONG[context.dtype] * scale(right[odd[0]])
        where = np.flatnonzero(apart.any(axis=tuple(range(1, apart.ndim))))
        if len(where) <= len(apart) // 2:
            told = ", ".join(str(row + 1) for row in where[:6])
            return f"the gradient of {odd[0]} is wrong in row {told} of {len(apart)} only"
    return None


def _penalty_gradients(context: Context) -> Iterator[tuple[str, Params]]:
    penalty, probe = context.job.experiment.train.penalty, context.probe
    if penalty.l1:
        yield "L1", {name: penalty.l1 * np.sign(probe[name]) for name in context.trained}
    if penalty.l2:
        yield "L2", {name: 2 * penalty.l2 * probe[name] for name in context.trained}
    if penalty.l1 and penalty.l2:
        both = {
            name: penalty.l1 * np.sign(probe[name]) + 2 * penalty.l2 * probe[name]
            for name in context.trained
        }
        yield "L1 and L2", both
