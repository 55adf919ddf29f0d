"""Where a gradient goes wrong although the loss is right, next to a gradient that is right.

The reference has no gradient of its own: a runtime whose gradient stands the test of differences
lends it. A gradient that goes wrong on its way back is wrong in every layer before that place, and
right in every layer behind it: which parameters are wrong tells the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import differences, losses
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import FORWARD, Run
from nncompare.numerics.reference.kinks import Table
from nncompare.spec.model import Node
from nncompare.spec.training import Penalty
from nncompare.studies.verify.checks.distance import scale
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.fields import numbers
from nncompare.studies.verify.explanation.matching import Change, Fit, Target

_WRONG = {"float64": 1e-9, "float32": 1e-3}
"""Relative difference from which a tensor's gradient is wrong; rounding stays below."""
_CLOSE = {"float64": 1e-6, "float32": 1e-3}
"""Relative difference up to which a change explains a gradient."""
_MANY = 3
"""A layer of so many trained parameters has many ways on which its own gradients come back."""


@dataclass(frozen=True)
class Way:
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
        """The likelier, the lower."""
        if self.inside:
            return 0
        # a layer with parameters whose own gradients are right comes last
        return 2 if self.node.parameters else 1


def gradient_place(context: Context, given: Params, right: Params) -> tuple[str | None, str | None]:
    """The layer or parameter at fault, and words.

    Args:
        given: the gradient of the runtime at fault; ``right``: one that stands the test of
            differences.
    """
    sizes = {name: scale(right[name]) if right[name].any() else 0.0 for name in context.trained}
    largest = max(sizes.values(), default=0.0) or 1.0
    apart = {
        name: float(np.abs(given[name] - right[name]).max()) / max(sizes[name], 1e-6 * largest)
        for name in context.trained
    }
    wrong = [name for name in context.trained if apart[name] > _WRONG[context.dtype]]
    if not wrong:
        return None, None
    if words := _whole_looks_like(context, given, right):
        return None, words
    live = [name for name in context.trained if sizes[name] > 1e-10 * largest or name in wrong]
    place = _part_of_a_layer(wrong, live)
    words = _tensors_look_like(context, wrong, given, right)
    if words is not None:
        return place or wrong[0], words
    nothing = None
    if not any(given[name].any() for name in wrong):
        nothing = f"the gradient of {', '.join(wrong)} is zero: it is not trained"
    if place is not None:
        return place, nothing or _inside(wrong, given)
    wrong.sort(key=lambda name: -apart[name])
    return _on_a_way(context, wrong, given, right, nothing)


def _on_a_way(
    context: Context, wrong: Sequence[str], given: Params, right: Params, nothing: str | None
) -> tuple[str, str | None]:
    """The place where all gradients of the wrong layers pass, and none of the others'.

    Args:
        wrong: parameters, the one that is farthest off first.
        nothing: words for gradients that are all zero.
    """
    nodes = frozenset(name.rpartition(".")[0] for name in wrong)
    ways = [way for way in _ways(context.model.nodes) if way.behind == nodes]
    ways.sort(key=lambda way: way.rank)
    # one layer without a gradient, and nothing behind it that could have stopped it
    if nothing and len(nodes) == 1 and all(way.node.parameters for way in ways):
        return wrong[0], nothing
    if not ways:
        return wrong[0], nothing
    scaled = _scaled(context, given, right, [way for way in ways if not way.inside])
    if scaled is not None:
        way, factor = scaled
        what = f"the gradient is {factor:.8g} times the right one"
        if abs(factor) < 1e-6:
            what = "no gradient comes back"
        return way.node.name, f"{what} through {way.words}"
    told = " or ".join(dict.fromkeys(way.words for way in ways))
    return ways[0].node.name, f"the gradient goes wrong on its way back through {told}"


def _whole_looks_like(context: Context, given: Params, right: Params) -> str | None:
    """One factor on the gradient of all parameters."""
    names = [name for name in context.trained if name in given]
    target = _target(context, given, right, names)
    whole = np.concatenate([right[name].ravel() for name in names])
    return target.fitted(
        [("the whole gradient is {0:.10g} times the right one", 1.0, lambda c: c * whole)]
    )


def _tensors_look_like(
    context: Context, wrong: Sequence[str], given: Params, right: Params
) -> str | None:
    """Another penalty; or one tensor that is transposed or has one factor."""
    penalized = _target(context, given, right, wrong)
    words = penalized.fitted(_penalties(context, right, wrong))
    if words is not None or len(wrong) > 1:
        return words
    name = wrong[0]
    target = _target(context, given, right, wrong)
    changes: list[Change] = [(f"the gradient of {name} is transposed", right[name].T.ravel())]
    factor: Fit = (
        f"the gradient of {name} is {{0:.10g}} times the right one",
        1.0,
        lambda c: c * right[name].ravel(),
    )
    # a gradient of zeros is no gradient: that has words of its own
    fits = [factor] if given[name].any() else []
    return (
        target.best(changes if right[name].ndim == 2 else [])
        or target.fitted(fits)
        or _rows(context, name, given[name], right[name])
    )


def _penalties(context: Context, right: Params, names: Sequence[str]) -> Iterator[Fit]:
    """Gradients with another factor of the penalty."""
    own = context.job.experiment.train.penalty

    def gradient(penalty: Penalty) -> Array:
        parts = [
            losses.penalty_gradients(context.probe, context.model, item.l1, item.l2)
            for item in (penalty, own)
        ]
        made = [right[name] + parts[0][name] - parts[1][name] for name in names]
        return np.concatenate([value.ravel() for value in made])

    for words, start, make in numbers(own, gradient):
        yield f"in the gradient, {words}", start, make


def _target(context: Context, given: Params, right: Params, names: Sequence[str]) -> Target:
    """Some gradients side by side, each relative to its own size."""
    a, b, units = [], [], []
    for name in names:
        a.append(np.asarray(given[name], np.float64).ravel())
        b.append(np.asarray(right[name], np.float64).ravel())
        units.append(np.full(b[-1].shape, scale(right[name])))
    target = Target(
        given=np.concatenate(a),
        right=np.concatenate(b),
        unit=np.concatenate(units),
        limit=_CLOSE[context.dtype],
    )
    limit = min(target.limit, max(0.01 * target.deviation, 0.1 * _WRONG[context.dtype]))
    return Target(given=target.given, right=target.right, unit=target.unit, limit=limit)


def _rows(context: Context, name: str, given: Array, right: Array) -> str | None:
    """The rows of one tensor that are wrong, where they are not more than half of them."""
    off = np.abs(given - right) > _WRONG[context.dtype] * scale(right)
    where = np.flatnonzero(off.any(axis=tuple(range(1, off.ndim))))
    if len(where) > len(off) // 2:
        return None
    told = ", ".join(str(row + 1) for row in where[:6])
    return f"the gradient of {name} is wrong in row {told} of {len(off)} only"


def _part_of_a_layer(wrong: Sequence[str], live: Sequence[str]) -> str | None:
    """The last layer that is wrong, if only some of its parameters are: what comes back to it must
    be right. The parameter itself, if it is the only one.
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
    if zero:
        return f"no gradient comes back to {', '.join(zero)}"
    before = ", and so does what comes back from it" if len(mine) < len(wrong) else ""
    return f"the gradient of {', '.join(mine)} goes wrong within {last}{before}"


def _ways(nodes: Sequence[Node], before: frozenset[str] = frozenset()) -> Iterator[Way]:
    """Every way, in order of computation."""
    for node in nodes:
        if node.children:
            yield from _ways(node.children, before)
            yield from _ways(node.shortcut, before)
            inner = _owners(node.children) | before
            outer = _owners(node.shortcut) | before
            yield Way(node, outer, shortcut=True)
            yield Way(node, inner | outer)
            before = inner | outer
            continue
        yield Way(node, before)
        trained = sum(item.trainable for item in node.parameters)
        if trained:
            before = before | {node.name}
            # tokens have no gradient: what is wrong in their table went wrong within
            if trained >= _MANY or node.input.is_tokens:
                yield Way(node, before, inside=True)


def _owners(nodes: Sequence[Node]) -> frozenset[str]:
    """Names of the nodes with trained parameters, those inside included."""
    inside = [inner for node in nodes for inner in node.walk()]
    return frozenset(
        node.name for node in inside if any(item.trainable for item in node.parameters)
    )


def _scaled(
    context: Context, given: Params, right: Params, ways: Sequence[Way]
) -> tuple[Way, float] | None:
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
            # of a direction through all parameters, one alone is judged by its own direction
            if not part or (len(part) == 1 and label not in part):
                continue
            whole = sum(float((right[name] * d).sum()) for name, d in part.items())
            there = sum(float((given[name] * d).sum()) for name, d in part.items())
            missing.append(whole - there)
            expected.append(whole - _held_slope(context, way, part))
        a, b = np.array(expected), np.array(missing)
        if len(a) < 2 or not a.any():
            continue
        share = float((a * b).sum() / (a * a).sum())
        if np.abs(b - share * a).max() <= 1e-5 * np.abs(b).max():
            return way, 1.0 - share
    return None


def _held_slope(context: Context, way: Way, direction: Params) -> float:
    """The slope of the reference loss while the value on a way is held where it is."""
    rows = context.plan.gradient_rows
    x = context.data.train.x[rows]
    made = Run(
        params=context.probe,
        forward=FORWARD,
        training=True,
        masks=context.masks(0),
        semantics=context.semantics,
    )
    made.chain(context.model.nodes, x)
    f = context.smooth_loss(lambda table: _holding(context, way, made.outputs, x, table))
    return differences.refined_derivative(f, context.probe, direction)[0]


def _holding(
    context: Context, way: Way, kept: Mapping[str, Array], x: Array, table: Table
) -> Table:
    """The formulas of a table, with one value as it was."""
    kind = way.node.layer.type

    def held(node: Node, p: Params, value: Array, run: Run) -> Array:
        if node.name != way.node.name:
            return table[kind](node, p, value, run)
        if not way.shortcut:
            if way.node.parameters:
                # its own parameters do get their gradient: its input is what is held
                return table[kind](node, p, _input_of(context, node, kept, x), run)
            return kept[node.name]
        outer = kept[node.shortcut[-1].name] if node.shortcut else _input_of(context, node, kept, x)
        return outer + run.chain(node.children, value)

    return {**table, kind: held}


def _input_of(context: Context, node: Node, kept: Mapping[str, Array], x: Array) -> Array:
    before = inputs_of(context.model.nodes)[node.name]
    return x if before is None else kept[before]
